//! `sandpit plugin new`: a folder with everything a strategy needs.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{
    Verdict, WorkbenchError,
    command::{NewArgs, say},
    embedded::{C_SDK, INTERFACE, JS_SDK, PYTHON_SDK, RUST_SDK},
    project::{Language, parse_name},
    surroundings::write_changed,
};

/// Stands for the strategy's name in a template.
const NAME: &str = "NAME_OF_STRATEGY";
/// The example that strategies begin as.
const EXAMPLE: &str = "sma_cross";
/// Stands for the path of the SDK.
const SDK: &str = "PATH_OF_SDK";
/// Where the copy of the SDK lies in a strategy's folder: as deep as in a checkout, where it looks for the
/// interface beside it.
const COPY: &str = "sandpit/plugins/sdk";
const COPY_OF_INTERFACE: &str = "sandpit/wit/strategy-0.1.0";

/// Words that some toolchain takes for something else, and names of what a strategy is built with.
const RESERVED: [&str; 48] = [
    "alloc", "and", "as", "assert", "async", "await", "box", "break", "const", "continue", "core", "crate",
    "def", "dyn", "else", "enum", "extern", "fn", "for", "gen", "if", "import", "in", "is", "lambda", "let",
    "loop", "match", "mod", "move", "mut", "not", "or", "pass", "pub", "ref", "return", "sandpit", "self",
    "static", "std", "strategy", "struct", "test", "trait", "use", "while", "yield",
];

/// Python's words, and the modules of its library: a strategy of such a name would be imported in their
/// place.
const PYTHONS_OWN: &str = include_str!("python_names.txt");

/// A template's file: its path in the strategy's folder, and its text.
type File = (&'static str, &'static str);

const RUST: [File; 5] = [
    ("Cargo.toml", include_str!("../templates/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../../plugins/sma_cross/src/lib.rs")),
    ("src/parameters.rs", include_str!("../../../plugins/sma_cross/src/parameters.rs")),
    ("src/tests.rs", include_str!("../../../plugins/sma_cross/src/tests.rs")),
    (".gitignore", "/target\n/NAME_OF_STRATEGY.wasm\n"),
];
const JS: [File; 2] = [
    ("NAME_OF_STRATEGY.js", include_str!("../../../plugins/js/sma_cross.js")),
    (".gitignore", "/node_modules\n/NAME_OF_STRATEGY.wasm\n"),
];
const PYTHON: [File; 2] = [
    ("NAME_OF_STRATEGY.py", include_str!("../../../plugins/python/sma_cross.py")),
    (".gitignore", "__pycache__\n/NAME_OF_STRATEGY.wasm\n"),
];
const C: [File; 2] = [
    ("NAME_OF_STRATEGY.c", include_str!("../../../plugins/c/sma_cross.c")),
    (".gitignore", "/NAME_OF_STRATEGY.wasm\n"),
];
/// The same in every language, as the templates do the same: they are the examples that follow a moving
/// average.
const SHARED: [File; 3] = [
    ("NAME_OF_STRATEGY.toml", include_str!("../templates/manifest.toml.txt")),
    ("fixtures/up_and_down.jsonl", include_str!("../templates/fixtures/up_and_down.jsonl")),
    ("fixtures/up_and_down.expected.jsonl", include_str!("../templates/fixtures/up_and_down.expected.jsonl")),
];

/// Makes the folder.
///
/// # Errors
/// When the name is bad or taken, the folder is there, the SDK is not where it should be, or nothing can be
/// written.
pub(crate) fn new(args: &NewArgs, out: &mut dyn Write) -> Result<Verdict, WorkbenchError> {
    let name = parse_name(&args.name)?;
    let is_pythons = || PYTHONS_OWN.split_whitespace().any(|own| own == name.as_str());
    if RESERVED.contains(&name.as_str()) || args.lang == Language::Python && is_pythons() {
        let words = format!("{name} means something else to the tools: take another name, such as {name}_1");
        return Err(WorkbenchError::Usage(words));
    }
    if args.sdk.is_some() && args.lang != Language::Rust {
        return Err(WorkbenchError::Usage(format!("--sdk is for Rust: leave it out for {}", args.lang)));
    }
    let sdk = match &args.sdk {
        Some(path) => Some(sdk_in(path).ok_or_else(|| {
            let words = format!(
                "there is no SDK in {}: name the folder of a checkout of Sandpit, which has plugins/sdk",
                path.display()
            );
            WorkbenchError::Usage(words)
        })?),
        None => checkout_around(&args.dir),
    };
    let here = args.dir == Path::new(".");
    let folder = if here { PathBuf::from(name.as_str()) } else { args.dir.join(name.as_str()) };
    fs::create_dir(&folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => WorkbenchError::Usage(format!(
            "there is a {} already: take another name, or remove it",
            folder.display()
        )),
        _ => WorkbenchError::io("create", &folder)(error),
    })?;
    write(&folder, name.as_str(), args.lang, sdk.as_deref())?;
    let path = folder.display();
    say(out, format_args!("{path}: a strategy in {}; README.md says what is where", args.lang))?;
    say(out, format_args!("  sandpit plugin build {path}"))?;
    say(out, format_args!("  sandpit plugin test {path}"))?;
    say(out, format_args!("  cp {path}/{name}.toml {path}/{name}.wasm PLUGINS_DIR/"))?;
    Ok(Verdict::Good)
}

/// Writes every file; without an `sdk` of a checkout a strategy in Rust gets a copy.
fn write(folder: &Path, name: &str, language: Language, sdk: Option<&Path>) -> Result<(), WorkbenchError> {
    let files: &[File] = match language {
        Language::Rust => &RUST,
        Language::Js => &JS,
        Language::Python => &PYTHON,
        Language::C => &C,
    };
    let sdk_path = sdk.map_or_else(|| COPY.to_owned(), |path| path.display().to_string());
    for (path, text) in files.iter().chain(&SHARED) {
        let text = text.replace(NAME, name).replace(SDK, &sdk_path).replace(EXAMPLE, name);
        write_changed(&folder.join(path.replace(NAME, name)), text.as_bytes())?;
    }
    write_changed(&folder.join("README.md"), page(name, language).as_bytes())?;
    match language {
        Language::Rust if sdk.is_some() => Ok(()),
        Language::Rust => {
            let copy = folder.join(COPY);
            let manifest = include_str!("../templates/sdk.toml.txt");
            write_changed(&copy.join("Cargo.toml"), manifest.as_bytes())?;
            copy_all(RUST_SDK, &copy.join("src"))?;
            copy_all(INTERFACE, &folder.join(COPY_OF_INTERFACE))
        }
        Language::Js => copy_all(JS_SDK, &folder.join("sandpit")),
        Language::Python => copy_all(PYTHON_SDK, &folder.join("sandpit")),
        Language::C => copy_all(C_SDK, &folder.join("sandpit")),
    }
}

/// What the strategy does, and what is where.
fn page(name: &str, language: Language) -> String {
    let example = include_str!("../../../plugins/sma_cross/README.md").replace(EXAMPLE, name);
    let (source, tests) = match language {
        Language::Rust => ("src/lib.rs".into(), "| `src/tests.rs` | its unit tests, by `cargo test` |\n"),
        other => (format!("{name}.{}", other.ending()), ""),
    };
    let work = include_str!("../templates/README.md.txt").replace(NAME, name).replace("SOURCE_FILE", &source);
    format!("{example}\n{}", work.replace("ROW_OF_TESTS\n", tests))
}

fn copy_all(files: &[(&str, &str)], folder: &Path) -> Result<(), WorkbenchError> {
    files.iter().try_for_each(|(path, text)| write_changed(&folder.join(path), text.as_bytes()))
}

/// The SDK of the checkout in `path`, or in which `path` is the SDK.
fn sdk_in(path: &Path) -> Option<PathBuf> {
    let is_sdk = |folder: &PathBuf| {
        fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|text| text.contains("name = \"sandpit-sdk\""))
    };
    [path.join("plugins/sdk"), path.to_owned()].into_iter().find(is_sdk)?.canonicalize().ok()
}

/// The SDK of the checkout in which `folder` lies, if it does.
fn checkout_around(folder: &Path) -> Option<PathBuf> {
    let folder = env::current_dir().ok()?.join(folder);
    folder.canonicalize().ok()?.ancestors().find_map(sdk_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(dir: &Path, name: &str, lang: Language) -> NewArgs {
        NewArgs { name: name.to_owned(), lang, sdk: None, dir: dir.to_owned() }
    }

    #[test]
    fn bad_names_and_folders_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let check = |args: NewArgs, expected: &str| {
            let error = new(&args, &mut Vec::new()).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        };
        let with = |name: &str| args(dir.path(), name, Language::Rust);
        check(with("Trend"), "\"Trend\" is no name for a strategy: take 1 to 32 of a-z");
        check(with(""), "\"\" is no name");
        check(with("while"), "while means something else to the tools");
        check(with("strategy"), "take another name, such as strategy_1");
        check(args(dir.path(), "json", Language::Python), "json means something else to the tools");
        check(args(dir.path(), "class", Language::Python), "take another name, such as class_1");
        check(
            NewArgs { sdk: Some("/".into()), ..with("a") },
            "there is no SDK in /: name the folder of a checkout",
        );
        check(NewArgs { sdk: Some("/".into()), ..args(dir.path(), "a", Language::C) }, "--sdk is for Rust");
        check(args(&dir.path().join("none"), "a", Language::C), "cannot create ");
        fs::create_dir(dir.path().join("there")).expect("a folder");
        check(with("there"), "there already: take another name, or remove it");
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn every_language_has_its_files_under_its_name() {
        for (language, source) in [
            (Language::Rust, "src/lib.rs"),
            (Language::Js, "x1.js"),
            (Language::Python, "x1.py"),
            (Language::C, "x1.c"),
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            let mut said = Vec::new();
            new(&args(dir.path(), "x1", language), &mut said).expect("made");
            let folder = dir.path().join("x1");
            for file in [source, "x1.toml", "README.md", "fixtures/up_and_down.jsonl", "sandpit"] {
                assert!(folder.join(file).exists(), "{language}: {file}");
            }
            let found = crate::project::Project::find(&folder).expect("a strategy");
            assert_eq!((found.name.as_str(), found.language), ("x1", language));
            let readme = fs::read_to_string(folder.join("README.md")).expect("a page");
            assert!(!readme.contains(NAME) && readme.contains("x1"), "{readme}");
            assert!(String::from_utf8(said).expect("text").contains("sandpit plugin build "));
        }
    }

    #[test]
    fn the_copy_of_the_sdk_wants_what_the_sdk_wants() {
        let toml = |text: &str| text.parse::<toml::Table>().expect("a manifest");
        let workspace = toml(include_str!("../../../Cargo.toml"));
        let theirs = toml(include_str!("../../../plugins/sdk/Cargo.toml"));
        let ours = toml(include_str!("../templates/sdk.toml.txt"));
        let wasm = "cfg(target_arch = \"wasm32\")";
        let sections: [(&toml::Value, &toml::Value); 2] = [
            (&theirs["dependencies"], &ours["dependencies"]),
            (&theirs["target"][wasm]["dependencies"], &ours["target"][wasm]["dependencies"]),
        ];
        for (theirs, ours) in sections {
            let (theirs, ours) = (theirs.as_table().expect("a table"), ours.as_table().expect("a table"));
            assert!(theirs.keys().eq(ours.keys()), "{theirs:?} is not {ours:?}");
            for (name, wanted) in ours {
                assert_eq!(*wanted, workspace["workspace"]["dependencies"][name.as_str()], "{name}");
            }
        }
        let package = &workspace["workspace"]["package"];
        for key in ["version", "edition", "rust-version"] {
            assert_eq!(ours["package"][key], package[key], "{key}");
        }
    }
}
