//! What the interop tests need of other languages: Python environments, and Node.

use crate::{Outcome, process};
use std::path::Path;
use std::process::Command;

/// One environment of the interop tests.
struct Environment {
    /// Below `interop-tests`.
    folder: &'static str,
    /// What is installed; below `interop-tests` too.
    requirements: &'static str,
    /// What pip is told beside that.
    options: &'static [&'static str],
}

const ENVIRONMENTS: [Environment; 5] = [
    Environment {
        folder: ".venv",
        requirements: "requirements.txt",
        options: &[],
    },
    Environment {
        folder: ".venv-1.0.0",
        requirements: "requirements-1.0.0.txt",
        options: &[],
    },
    Environment {
        folder: ".venv-kollabor",
        requirements: "requirements-kollabor.txt",
        options: &["--ignore-requires-python"],
    },
    Environment {
        folder: ".venv-clamator",
        requirements: "requirements-clamator.txt",
        options: &[],
    },
    Environment {
        folder: ".venv-contract",
        requirements: "requirements-contract.txt",
        options: &[],
    },
];

const PACKAGES: [&str; 3] = ["python3", "python3-venv", "python3-pip"];

/// Makes the environments that are missing, broken or made from other requirements.
///
/// # Errors
/// Python or its `venv` module is missing and cannot be installed, or pip fails.
pub(crate) fn set_up() -> Outcome {
    let tests = process::root().join("interop-tests");
    for environment in &ENVIRONMENTS {
        set_up_one(&tests, environment)?;
    }
    require_node()?;
    set_up_node(&tests.join("node"))
}

/// Sees that `node` is there, and installs it where that may be done.
fn require_node() -> Outcome {
    if process::on_path("node") {
        return Ok(());
    }
    if process::can_apt_install() {
        return process::apt_install(&["nodejs"]);
    }
    let hint =
        "`sudo apt-get update && sudo apt-get install -y nodejs` or what your system has for it";
    Err(format!("the interop tests need node; run {hint}").into())
}

/// Installs the packages of npm that are missing, or were made from another list.
fn set_up_node(folder: &Path) -> Outcome {
    let wanted = std::fs::read_to_string(folder.join("package.json"))?;
    // Written last, so an interrupted installation is not taken for a finished one.
    let stamp = folder.join("node_modules/.installed-package.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("    {} is up to date", folder.display());
        return Ok(());
    }
    if !process::on_path("npm") {
        if !process::can_apt_install() {
            let hint = "`sudo apt-get install -y npm` or what your system has for it";
            return Err(format!("the interop tests need npm; run {hint}").into());
        }
        process::apt_install(&["npm"])?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args([
        "install",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--silent",
    ]);
    process::run(&mut npm)?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

fn set_up_one(tests: &Path, environment: &Environment) -> Outcome {
    let folder = &tests.join(environment.folder);
    let requirements = &tests.join(environment.requirements);
    let wanted = std::fs::read_to_string(requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let python = folder.join("bin/python");
    // Written last, so an interrupted installation is not taken for a finished one.
    let stamp = folder.join("installed-requirements.txt");
    let installed = std::fs::read_to_string(&stamp).unwrap_or_default();
    let runs = process::read(Command::new(&python).args(["-c", "pass"])).is_ok();
    if runs && installed == wanted {
        println!("    {} is up to date", folder.display());
        return Ok(());
    }
    require_python()?;
    process::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.args(environment.options).arg("-r");
    process::run(pip.arg(requirements))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// Sees that `python3 -m venv` works, and installs it where that may be done.
fn require_python() -> Outcome {
    let works =
        || process::read(Command::new("python3").args(["-c", "import ensurepip, venv"])).map(drop);
    if works().is_ok() {
        return Ok(());
    }
    if process::can_apt_install() {
        process::apt_install(&PACKAGES)?;
        return works();
    }
    let packages = PACKAGES.join(" ");
    Err(format!(
        "the interop tests need python3 with its venv module; run \
         `sudo apt-get update && sudo apt-get install -y {packages}` or what your system has for it"
    )
    .into())
}
