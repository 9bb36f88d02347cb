//! What a panic does: it traps, and the package instantiates the module again.

/// Traps without a message: formatting one takes more code than a machine of the core. The trap's stack shows where it
/// happened.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn handle_panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Panics on purpose, so that tests can check the recovery.
#[unsafe(no_mangle)]
extern "C" fn panic_on_purpose() {
    panic!("this panic was asked for");
}
