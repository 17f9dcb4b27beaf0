//! Comparing byte code as code objects.
//!
//! Equal code can be written down in different bytes (references are shared or not, depending on what else the
//! compiling process did), so the files are loaded by the interpreter that they are for: inside the base image,
//! by a build, which asks nothing of the machine that runs the tests.

use super::build::{Build, Side};
use super::compare::{CodePair, Comparison, Difference};
use super::env::Env;
use super::files::Files;

const PROGRAM: &str = r#"
import marshal, struct, sys, types

def differences(a, b, where):
    if type(a) is not type(b):
        yield f"{where}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, types.CodeType):
        names = sorted(n for n in dir(a) if n.startswith("co_") and n != "co_lnotab")
        for name in names:
            x, y = getattr(a, name), getattr(b, name)
            if not callable(x):
                yield from differences(x, y, f"{where}.{name}")
    elif isinstance(a, tuple):
        if len(a) != len(b):
            yield f"{where}: {len(a)} and {len(b)} items"
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{where}[{i}]")
    elif isinstance(a, frozenset):
        key = lambda v: (type(v).__name__, repr(v))
        yield from differences(tuple(sorted(a, key=key)), tuple(sorted(b, key=key)), where)
    elif isinstance(a, float):
        if struct.pack("<d", a) != struct.pack("<d", b):
            yield f"{where}: {a!r} and {b!r}"
    elif isinstance(a, complex):
        if struct.pack("<dd", a.real, a.imag) != struct.pack("<dd", b.real, b.imag):
            yield f"{where}: {a!r} and {b!r}"
    elif a != b:
        yield f"{where}: {a!r} and {b!r}"

for i in range(int(sys.argv[1])):
    a, b = (marshal.loads(open(f"/pairs/{side}{i}", "rb").read()[16:]) for side in "ab")
    for text in differences(a, b, "code"):
        print(i, text.replace("\n", " ")[:300])
        break
"#;

/// Judges the byte code that a comparison left open, with the interpreter of `image`.
pub(crate) fn compare(env: &Env, image: &str, mut comparison: Comparison) -> Comparison {
    let pairs = std::mem::take(&mut comparison.code);
    comparison.differences.extend(different(env, image, &pairs));
    comparison
}

/// The pairs whose code objects differ.
pub(crate) fn different(env: &Env, image: &str, pairs: &[CodePair]) -> Vec<Difference> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let files = Files::new().with("compare.py", PROGRAM).with(
        "Dockerfile",
        format!(
            "FROM {image} AS run\nCOPY . /pairs/\nUSER 0\nRUN python3 -I /pairs/compare.py {} >/answer\n\
             FROM scratch\nCOPY --from=run /answer /\n",
            pairs.len()
        ),
    );
    for (i, pair) in pairs.iter().enumerate() {
        files.write(&format!("a{i}"), &pair.plain);
        files.write(&format!("b{i}"), &pair.plinth);
    }
    let built = Build::new(env, Side::Plain, files.path()).files().run().ok();
    let answer = std::fs::read_to_string(built.files().join("answer")).unwrap();
    answer
        .lines()
        .map(|line| {
            let (number, what) = line.split_once(' ').unwrap();
            Difference { path: pairs[number.parse::<usize>().unwrap()].path.clone(), what: what.to_owned() }
        })
        .collect()
}
