//! The order of a WASM module's functions.
//!
//! Gzip finds repetitions within the last 32 KiB. Functions of the same signature and about the same length are often
//! instances of the same generic function: side by side, they compress better than in the order in which they were
//! compiled.

/// Sorts the functions of a module, written as text by `wasm-opt`, by signature and length.
pub(crate) fn functions(module: &str) -> String {
    let mut others = Vec::new();
    let mut functions: Vec<Vec<&str>> = Vec::new();
    let mut is_inside = false;
    for line in module.lines() {
        let begins = line.starts_with(" (func ");
        if begins {
            functions.push(Vec::new());
        }
        match functions.last_mut() {
            Some(function) if begins || is_inside => function.push(line),
            Some(_) | None => others.push(line),
        }
        is_inside = (begins || is_inside) && line != " )";
    }
    functions.sort_by_cached_key(|lines| {
        let length = lines.iter().map(|line| line.len()).sum::<usize>();
        (signature(lines[0]), length)
    });
    // The last line closes the module.
    let end = others.pop();
    let lines = others.into_iter().chain(functions.into_iter().flatten());
    lines
        .chain(end)
        .fold(String::new(), |text, line| text + line + "\n")
}

/// The signature of a function, without its name and those of its parameters.
fn signature(head: &str) -> String {
    let words = head.split_whitespace().skip(2);
    let types = words.filter(|word| !word.starts_with('$'));
    types.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_type_come_side_by_side_the_shorter_ones_first() {
        let module = "(module
 (import \"a\" \"b\" (func $0 (param i32)))
 (func $long (param $0 i32) (result i32)
  (i32.add
   (local.get $0)
   (i32.const 1)
  )
 )
 (func $other
  (nop)
 )
 (func $short (param $0 i32) (result i32)
  (local.get $0)
 )
 (export \"long\" (func $long))
)
";
        let ordered = functions(module);
        let at = |text| ordered.find(text).expect("nothing is lost");
        assert!(at("(func $other") < at("(func $short"));
        assert!(at("(func $short") < at("(func $long (param"));
        assert!(at("(import") < at("(func $other"));
        assert!(ordered.ends_with(")\n"));
        let mut lines: Vec<&str> = ordered.lines().collect();
        let mut before: Vec<&str> = module.lines().collect();
        lines.sort_unstable();
        before.sort_unstable();
        assert_eq!(lines, before);
    }
}
