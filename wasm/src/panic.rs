//! What happens when the core breaks: it traps, and the package instantiates the module anew.

/// Traps without a word: to format what went wrong takes more code than a machine of the core. Where it went wrong is
/// in the trap's stack.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn handle_panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Panics on purpose, so that the way back can be tested.
#[unsafe(no_mangle)]
extern "C" fn panic_on_purpose() {
    panic!("this panic was asked for");
}
