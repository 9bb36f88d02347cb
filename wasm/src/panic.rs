//! What happens when the core breaks: it traps, and the package has the module instantiated anew.

use wasm_bindgen::handler::schedule_reinit;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// Traps without a word: to format what went wrong takes more code than a machine of the core. Where it went wrong is
/// in the trap's stack.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn handle_panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Has the module instantiated anew before the next call.
#[wasm_bindgen]
pub fn restart() {
    schedule_reinit();
}

/// Panics on purpose, so that the way back can be tested.
#[wasm_bindgen]
pub fn panic_on_purpose() {
    panic!("this panic was asked for");
}

/// This module's memory, which the view of the records looks into.
#[wasm_bindgen]
pub fn module_memory() -> JsValue {
    wasm_bindgen::memory()
}
