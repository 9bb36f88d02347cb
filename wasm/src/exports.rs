//! Exports the machines to JavaScript: as plain functions that take the machine's number first, and pass only numbers.

/// Exports methods of static [`Machines`](crate::machines::Machines), under names with a prefix for their kind.
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
