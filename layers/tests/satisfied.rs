//! Is an `apt-get install` satisfied? On root file systems made by hand: what keeps a step, one thing at a time.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use plinth_layers::steps::satisfied::{SatisfiedSpec, look};
use plinth_layers::tree::sha256;
use tempfile::TempDir;

/// A root file system on which `tool` is there, as the inventory has it.
struct Root(TempDir);

const STATUS: &str = "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.0-1\n\n\
    Package: extra\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n\n\
    Package: old\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n";
const FILES: [&str; 5] = [
    "etc/apt/sources.list.d/debian.sources",
    "usr/bin/apt",
    "usr/bin/apt-get",
    "usr/bin/dpkg",
    "var/lib/dpkg/arch",
];

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        for file in FILES {
            root.write(file, file);
        }
        for program in ["apt", "apt-get", "dpkg", "rm", "dash"] {
            root.program(&format!("usr/bin/{program}"));
        }
        symlink("usr/bin", root.at("bin")).unwrap();
        symlink("dash", root.at("usr/bin/sh")).unwrap();
        root.write("var/lib/dpkg/status", STATUS);
        root.write("var/lib/apt/extended_states", "Package: extra\nArchitecture: all\nAuto-Installed: 1\n");
        for directory in ["srv", "tmp", "var/lib/apt/lists", "var/lib/dpkg/updates", "usr/share/plinth"] {
            fs::create_dir_all(root.at(directory)).unwrap();
        }
        root.inventory();
        root
    }

    /// Writes the inventory of what is there.
    fn inventory(&self) {
        let sums: Vec<String> = FILES
            .iter()
            .map(|file| format!("\"/{file}\": \"sha256:{}\"", sha256(&self.at(file)).unwrap()))
            .collect();
        let text = format!(
            r#"{{"format": 1, "date": "2026-11-01", "files": {{{}}}, "packages": [{{"name": "tool", "architecture": "amd64",
            "version": "1:2.0-1", "recommends": {{"installed": ["extra"], "absent": ["never"]}}}}]}}"#,
            sums.join(", ")
        );
        self.write("usr/share/plinth/inventory.json", &text);
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn program(&self, path: &str) {
        if !self.at(path).exists() {
            self.write(path, path);
        }
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn look(&self, change: impl FnOnce(&mut SatisfiedSpec)) -> Result<String, String> {
        let mut spec = SatisfiedSpec {
            packages: vec![("tool".to_owned(), None)],
            recommends: true,
            removes: vec!["/var/lib/apt/lists/*".to_owned()],
            programs: ["/bin/sh", "apt-get", "rm"].map(str::to_owned).to_vec(),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            cwd: "/srv".into(),
        };
        change(&mut spec);
        look(&spec, self.0.path()).map(|inventory| inventory.date.to_string())
    }

    #[track_caller]
    fn refuses(&self, wanted: &str) {
        let reason = self.look(|_| {}).unwrap_err();
        assert!(reason.contains(wanted), "{reason}");
    }
}

#[test]
fn as_the_master_left_it() {
    let root = Root::new();
    assert_eq!(root.look(|_| {}).unwrap(), "2026-11-01");
    let version = |version: &str| {
        let version = version.to_owned();
        root.look(|spec| spec.packages[0].1 = Some(version))
    };
    assert_eq!(version("1:2.0-1").unwrap(), "2026-11-01");
    assert_eq!(version("2.0-1").unwrap_err(), "it asks for tool 2.0-1, the master's inventory has 1:2.0-1");
    // A step may have installed something beside it.
    root.write(
        "var/lib/dpkg/status",
        &format!("{STATUS}\nPackage: new\nStatus: install ok installed\nVersion: 1\n"),
    );
    assert!(root.look(|_| {}).is_ok());
}

#[test]
fn packages_that_are_not_as_they_were() {
    let change = |from: &str, to: &str, wanted: &str| {
        let root = Root::new();
        assert!(STATUS.contains(from));
        root.write("var/lib/dpkg/status", &STATUS.replacen(from, to, 1));
        root.refuses(wanted);
    };
    change(
        "Version: 1:2.0-1",
        "Version: 1:2.0-2",
        "tool is there at 1:2.0-2, the master's inventory has 1:2.0-1",
    );
    change("Status: install ok", "Status: hold ok", "tool is held back");
    change("install ok installed", "install ok half-configured", "tool is not whole in the state before it");
    change("install ok installed", "deinstall ok config-files", "tool is gone");
    change("Architecture: amd64", "Architecture: i386", "tool is gone");
    change("Package: tool", "Package: tools", "tool is gone");
    change("deinstall ok config-files", "install reinstreq half-installed", "old is not whole");
    change("Package: extra", "Package: extras", "extra, which tool recommends, is gone");
    change("Status:", "State:", "a package has no status");
    let root = Root::new();
    fs::remove_file(root.at("var/lib/dpkg/status")).unwrap();
    root.refuses("there is no /var/lib/dpkg/status");
    root.write("var/lib/dpkg/status", STATUS);
    root.write("var/lib/dpkg/updates/0001", "");
    root.refuses("dpkg was interrupted");
}

#[test]
fn what_is_recommended_counts_where_it_is_asked_for() {
    let root = Root::new();
    root.write("var/lib/dpkg/status", &STATUS.replace("Package: extra", "Package: else"));
    assert!(root.look(|_| {}).is_err());
    assert!(root.look(|spec| spec.recommends = false).is_ok());
}

#[test]
fn marks() {
    let root = Root::new();
    root.write("var/lib/apt/extended_states", "Package: tool\nArchitecture: amd64\nAuto-Installed: 1\n");
    root.refuses("tool is marked as installed automatically");
    root.write("var/lib/apt/extended_states", "Package: tool\nArchitecture: i386\nAuto-Installed: 1\n");
    assert!(root.look(|_| {}).is_ok());
    root.write("var/lib/apt/extended_states", "Auto-Installed: 1\n");
    root.refuses("/var/lib/apt/extended_states can't be read");
    fs::remove_file(root.at("var/lib/apt/extended_states")).unwrap();
    assert!(root.look(|_| {}).is_ok(), "without the file, everything was asked for");
}

#[test]
fn what_apt_chooses_by() {
    let root = Root::new();
    root.write("etc/apt/preferences.d/pin", "Package: *\n");
    root.refuses("/etc/apt/preferences.d/pin wasn't there when the master's inventory was made");
    fs::remove_file(root.at("etc/apt/preferences.d/pin")).unwrap();
    symlink("/usr/bin/apt", root.at("etc/apt/apt.conf")).unwrap();
    root.refuses("/etc/apt/apt.conf wasn't there");
    fs::remove_file(root.at("etc/apt/apt.conf")).unwrap();
    symlink("nowhere", root.at("etc/apt/apt.conf")).unwrap();
    root.refuses("apt's files can't be read: /etc/apt/apt.conf");
    fs::remove_file(root.at("etc/apt/apt.conf")).unwrap();
    assert!(root.look(|_| {}).is_ok());
    root.write(FILES[0], "deb x");
    root.refuses("debian.sources has changed");
    fs::remove_file(root.at(FILES[0])).unwrap();
    root.refuses("debian.sources is gone");
    root.write(FILES[0], FILES[0]);
    root.write("usr/bin/apt-get", "#!/bin/sh\n");
    root.refuses("/usr/bin/apt-get has changed");
}

#[test]
fn what_the_step_would_remove() {
    let root = Root::new();
    root.write("var/lib/apt/lists/x_Packages", "");
    root.refuses("/var/lib/apt/lists/x_Packages is there before it, which it removes");
    fs::remove_file(root.at("var/lib/apt/lists/x_Packages")).unwrap();
    let removes = |path: &str| {
        let path = path.to_owned();
        root.look(|spec| spec.removes.push(path))
    };
    assert!(removes("/tmp/*").is_ok());
    root.write("tmp/.hidden", "");
    assert!(removes("/tmp/*").is_ok(), "a shell's `*` leaves it alone");
    assert!(removes("/tmp/.*").is_err());
    root.write("tmp/x.deb", "");
    assert_eq!(removes("/tmp/*").unwrap_err(), "/tmp/x.deb is there before it, which it removes");
    assert!(removes("/tmp/*.deb").is_err());
    assert!(removes("/tmp/x.deb").is_err());
    assert!(removes("/tmp/*.rpm").is_ok() && removes("/tmp/x").is_ok() && removes("/none/*").is_ok());
    assert!(removes("/var/lib/apt/lists").is_err(), "the directory itself");
    // What apt's own hooks clean up counts as well.
    root.write("var/cache/apt/archives/curl.deb", "");
    root.refuses("/var/cache/apt/archives/curl.deb is there");
}

#[test]
fn the_programs_are_the_distributions() {
    let root = Root::new();
    root.program("usr/local/bin/apt-get");
    root.refuses("`apt-get` isn't the program of that name in /usr/bin");
    fs::remove_file(root.at("usr/local/bin/apt-get")).unwrap();
    symlink("/usr/bin/rm", root.at("usr/local/bin/apt-get")).unwrap();
    root.refuses("`apt-get` isn't the program of that name in /usr/bin");
    fs::remove_file(root.at("usr/local/bin/apt-get")).unwrap();
    let path = |path: &str| {
        let path = path.to_owned();
        root.look(|spec| spec.path = path)
    };
    assert!(path("/bin").is_ok());
    assert!(path(":/usr/bin").is_err(), "the working directory comes first");
    assert!(path("bin:/usr/bin").is_err());
    assert!(path("").is_err() && path("/srv").is_err());
    let named = |program: &str| {
        let program = program.to_owned();
        root.look(|spec| spec.programs.push(program))
    };
    assert!(named("/usr/bin/apt").is_ok());
    assert!(named("/bin/bash").is_err(), "it isn't there");
    assert!(named("/srv/rm").is_err());
}

#[test]
fn no_working_directory_and_no_inventory() {
    let root = Root::new();
    assert!(root.look(|spec| spec.cwd = "/app".into()).unwrap_err().contains("working directory"));
    let inventory = Path::new("usr/share/plinth/inventory.json");
    fs::write(root.0.path().join(inventory), "{}").unwrap();
    root.refuses("the master's inventory can't be read");
    fs::remove_file(root.0.path().join(inventory)).unwrap();
    root.refuses("its base has no inventory");
}
