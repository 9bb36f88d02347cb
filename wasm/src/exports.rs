//! How JavaScript reaches machines: by their numbers, through plain functions that pass numbers.

/// Exports methods of static [`Machines`](crate::machines::Machines), under names that tell what they are machines of.
macro_rules! exports {
    ($machines:ident: $($name:ident = $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(machine: u32, $($argument: $type),*) $(-> $result)? {
            // SAFETY: the machine is used until this exported function returns.
            unsafe { $machines.machine(machine) }.$method($($argument),*)
        }
    )*};
}

pub(crate) use exports;
