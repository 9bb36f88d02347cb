//! What happens when the core breaks: the message goes out, and the module is instantiated anew.

use wasm_bindgen::handler::schedule_reinit;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen(raw_module = "../panic.js")]
extern "C" {
    fn note_panic(message: &str);
}

/// Runs when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        note_panic(&info.to_string());
        schedule_reinit();
    }));
}

/// Has the module instantiated anew before the next call. For traps that are no panics: memory or stack exhausted.
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
