//! Writes the JavaScript and TypeScript side of a WASM module's bindings.
//!
//! `xtask-bindings MODULE.wasm FOLDER NAME` leaves `NAME.js`, `NAME.d.ts`, `NAME_bg.wasm` and
//! `NAME_bg.wasm.d.ts` in the folder, for loading as an ES module in browsers, workers and Node.

use std::env;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, folder, name] = arguments.as_slice() else {
        eprintln!("usage: xtask-bindings MODULE.wasm FOLDER NAME");
        return ExitCode::from(2);
    };
    let mut generator = Bindgen::new();
    let written = generator
        .input_path(module)
        .out_name(name)
        .typescript(true)
        .web(true)
        .and_then(|generator| generator.generate(folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the bindings of {module}: {error:?}");
            ExitCode::FAILURE
        }
    }
}
