//! Constants in byte code that the platform shows in.
//!
//! Byte code is the same on every platform but for what the compiler computes: of `1e999 - 1e999`, which isn't a number,
//! x86-64 makes other bits than AArch64. Looked at by a program of its own: what the compiling one holds shows in what it
//! compiles.

use std::path::Path;

use super::compile::{CompileError, run};
use crate::resolution::Interpreter;

/// The program that looks.
const LOOK: &str = include_str!("constants.py");

/// Which of these files of byte code have a constant that isn't a number.
///
/// # Errors
/// If they can't be looked at.
pub fn not_numbers(interpreter: &Interpreter, files: &[&Path]) -> Result<Vec<bool>, CompileError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let words = files.iter().map(|path| {
        let text = path.to_str().filter(|text| !text.contains('\0'));
        text.ok_or_else(|| CompileError::Path(path.to_path_buf()))
    });
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let answer = run(&interpreter.physical, LOOK, words.join("\0").as_bytes())?;
    let found: Vec<bool> = answer.split('\0').map(|word| word != "0").collect();
    if found.len() != files.len() {
        return Err(CompileError::Run {
            path: interpreter.physical.clone(),
            why: "it answered something else than asked".to_owned(),
        });
    }
    Ok(found)
}
