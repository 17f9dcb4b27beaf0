//! Where services install to.

/// Where packages go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Instructions that make it: the first ones, so that they are in the cache for other services.
    pub(super) made: &'static str,
    /// Instructions that make it the one in use.
    pub(super) used: &'static str,
    /// Options of each install.
    pub(super) options: &'static str,
    /// A program of its own.
    pub(super) program: Option<&'static str>,
    /// Where packages are.
    pub(super) site: &'static str,
    /// What another stage would copy.
    pub(super) copied: &'static [&'static str],
}

const SYSTEM: &str = "/usr/local/lib/@PY@/site-packages";
const VENV: &str = "/opt/venv/lib/@PY@/site-packages";

/// With how often each is taken.
pub(super) const TARGETS: &[(u32, Target)] = &[
    (
        8,
        Target {
            made: "",
            used: "",
            options: "",
            program: None,
            site: SYSTEM,
            copied: &[SYSTEM, "/usr/local/bin", "/usr/local"],
        },
    ),
    (
        3,
        Target {
            made: "",
            used: "",
            options: " --user",
            program: None,
            site: "/root/.local/lib/@PY@/site-packages",
            copied: &["/root/.local", "/root"],
        },
    ),
    (
        2,
        Target {
            made: "",
            used: "",
            options: " --prefix=/install",
            program: None,
            site: "/install/lib/@PY@/site-packages",
            copied: &["/install"],
        },
    ),
    (
        5,
        Target {
            made: "RUN python3 -m venv /opt/venv",
            used: "ENV PATH=/opt/venv/bin:$PATH",
            options: "",
            program: None,
            site: VENV,
            copied: &["/opt/venv", "/opt"],
        },
    ),
    (
        2,
        Target {
            made: "ENV VIRTUAL_ENV=/opt/venv\nRUN python3 -m venv $VIRTUAL_ENV",
            used: "ENV PATH=\"$VIRTUAL_ENV/bin:$PATH\"",
            options: "",
            program: None,
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        3,
        Target {
            made: "RUN python3 -m venv /opt/venv",
            used: "",
            options: "",
            program: Some("/opt/venv/bin/pip"),
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "RUN python3 -m venv --system-site-packages /opt/venv",
            used: "RUN /opt/venv/bin/pip install beta==1.0",
            options: "",
            program: Some("/opt/venv/bin/python -m pip"),
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "RUN ln -s /srv/env /opt/venv && python3 -m venv /srv/env",
            used: "ENV PATH=/opt/venv/bin:$PATH",
            options: "",
            program: None,
            site: VENV,
            copied: &["/srv/env", "/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "",
            used: "",
            options: " --target /opt/lib --no-compile",
            program: None,
            site: "/opt/lib",
            copied: &["/opt/lib"],
        },
    ),
    (
        1,
        Target {
            made: "RUN useradd -m app",
            used: "USER app\nENV HOME=/home/app",
            options: " --user",
            program: None,
            site: "/home/app/.local/lib/@PY@/site-packages",
            copied: &["/home/app/.local"],
        },
    ),
];
