//! Explores every interleaving of small but hard parts, up to a depth.

mod presence;
mod resume;
mod tabs;
