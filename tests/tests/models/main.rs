//! Every interleaving of the smallest hard parts, up to a depth.

mod presence;
mod resume;
mod tabs;
