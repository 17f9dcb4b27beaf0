//! Assembled steps of uv give what uv gives. `PLINTH_TEST_UV_WHEEL` names a wheel of uv, for the index that both sides use.

use crate::pip::{Case, Expect, check, wheels};
use crate::support::env::e2e;
use crate::support::index::Index;
use crate::support::wheel::Made;

fn index() -> Index {
    let path = std::env::var("PLINTH_TEST_UV_WHEEL").expect("PLINTH_TEST_UV_WHEEL names a wheel of uv");
    let file = path.rsplit('/').next().unwrap().to_owned();
    let mut all = wheels();
    all.push(Made { project: "uv".to_owned(), file, bytes: std::fs::read(&path).unwrap() });
    Index::of(&all)
}

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: $expect:ident, $body:expr, [$($file:expr),*], $check:expr;)*) => {
        $($(#[$doc])*
        #[test]
        #[ignore = "needs a wheel of uv in PLINTH_TEST_UV_WHEEL"]
        fn $name() {
            let env = e2e!();
            let body = concat!("RUN pip install --no-cache-dir -i @INDEX@ uv\n", $body);
            let case = Case { body, files: &[$($file),*], expect: Expect::$expect, check: $check };
            check(env, &index(), &case);
        })*
    };
}

cases! {
    environment_by_variable: Assembled,
        "ENV VIRTUAL_ENV=/usr/local\nCOPY r.txt c.txt /\nRUN uv pip install --no-cache --index-url @INDEX@ -r /r.txt -c /c.txt",
        [("r.txt", "alpha[fast]  # a comment\ndatafull\nns-one\nns-two\nMixed.Case-Name ~= 1.0\n"), ("c.txt", "beta<1.5\n")],
        "alpha-tool\nshell-tool\npython-tool\nnot-executable\ndata-one\ndata-gui\npython3 -c 'import beta, gamma; assert beta.VERSION == \"1.0\"'";
    interpreter_by_option: Assembled,
        "ENV UV_NO_CACHE=1\nRUN uv pip install --python /usr/local/bin/python3 -i @INDEX@ 'alpha>=1,<2' datafull", [], "alpha-tool\ndata-one";
    system: Assembled,
        "RUN uv pip install --system --break-system-packages --no-cache -i @INDEX@ alpha datafull", [], "/usr/bin/python3 -c 'import alpha'";
    two_steps: Assembled,
        "ENV VIRTUAL_ENV=/usr/local UV_NO_CACHE=1\nRUN uv pip install -i @INDEX@ beta==1.0\nRUN uv pip install -i @INDEX@ alpha",
        [], "python3 -c 'import beta; assert beta.VERSION == \"1.0\"'";
    cache_mount: Assembled,
        "ENV VIRTUAL_ENV=/usr/local UV_LINK_MODE=copy\nRUN --mount=type=cache,target=/root/.cache/uv uv pip install -i @INDEX@ alpha", [], "alpha-tool";
    byte_code: Either,
        "ENV VIRTUAL_ENV=/usr/local\nRUN uv pip install --no-cache --compile-bytecode -i @INDEX@ alpha", [], "alpha-tool";
    upgrade: Either,
        "ENV VIRTUAL_ENV=/usr/local UV_NO_CACHE=1\nRUN uv pip install -i @INDEX@ alpha==1.0\nRUN uv pip install -i @INDEX@ alpha==2.0", [], "alpha-tool";
    satisfied: Either,
        "ENV VIRTUAL_ENV=/usr/local UV_NO_CACHE=1\nRUN uv pip install -i @INDEX@ beta==1.0\nRUN uv pip install -i @INDEX@ beta", [], "true";
    externally_managed: Either,
        "RUN uv pip install --system --no-cache -i @INDEX@ alpha; true", [], "true";
}
