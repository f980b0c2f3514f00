//! From a file to a plugin: what is refused and how it is said, and the cache.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use proptest::prelude::*;

use super::{
    Yard,
    wat::{WIT, Wat, with_interface},
};
use crate::{Compiler, Plugin, PluginError, Wants, check};

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let yard = Yard::new();
    let check = |bytes: &[u8], expected: &str| {
        let error = yard.load("test.wasm", bytes).err().expect("refused");
        let found = error.to_string();
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
        assert!(!found.contains('\n'), "{found}");
    };
    let imports = |imports| Wat { imports, ..Wat::default() };
    check(b"PK\x03\x04 something zipped", "test.wasm is not a WebAssembly file: build the strategy for");
    check(b"", "test.wasm is not a WebAssembly file");
    let module = Wat::default().module();
    check(&module[..module.len() / 2], "test.wasm is damaged (");
    check(b"\0asm\x01\0\0\0", "test.wasm does not say what interface it has: export the strategy");
    check(&Wat::default().bare_module(), "test.wasm does not say what interface it has");
    check(
        &imports("(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32)))").bare_module(),
        "test.wasm imports wasi_snapshot_preview1 fd_write, which is not offered: no WASI is offered: build",
    );
    check(
        &imports("(import \"env\" \"socket\" (func))").module(),
        "test.wasm imports env socket, which is not offered: a strategy gets nothing but sandpit:strategy",
    );
    check(
        &imports("(import \"__wbindgen_placeholder__\" \"f\" (func))").bare_module(),
        "test.wasm imports __wbindgen_placeholder__ f, which is not offered: it was built for a browser",
    );
    let later = Wat { wit: WIT.replace("@0.1.0", "@0.2.0"), ..Wat::default() };
    check(
        &later.module(),
        "test.wasm is built for sandpit:strategy@0.2.0, this host offers 0.1.0: rebuild it",
    );
    let text = Wat::default().text().replace("(export \"save\")", "").replace("(export \"stop\")", "");
    let lacking = wat::parse_str(text).expect("a module");
    check(
        &with_interface(lacking, WIT),
        "test.wasm does not export save, stop: export the strategy with the SDK's macro",
    );
}

#[test]
fn components_are_taken_and_checked_too() {
    let yard = Yard::new();
    let component = check::to_component("x", Wat::default().module()).expect("a component");
    let plugin = yard.load("test.wasm", &component).expect("it loads");
    assert_eq!(plugin.description().name, "test");

    let check = |text: &str, expected: &str| {
        let error =
            yard.load("test.wasm", &wat::parse_str(text).expect("a component")).err().expect("refused");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        "(component (import \"wasi:sockets/tcp@0.2.0\" (instance)))",
        "test.wasm imports wasi:sockets/tcp@0.2.0, which is not offered: no WASI is offered",
    );
    check("(component)", "test.wasm does not export describe, init, on-bar, ");
}

#[test]
fn a_function_from_a_later_release_is_named() {
    let wit = WIT.replace("random: func() -> u64;", "random: func() -> u64;\n  news: func() -> u64;");
    let imports = "(import \"sandpit:strategy/host@0.1.0\" \"news\" (func (result i64)))";
    let plugin = Wat { wit, imports, ..Wat::default() };
    let error = Yard::new().load("test.wasm", &plugin.module()).err().expect("refused").to_string();
    assert!(error.starts_with("test.wasm does not fit sandpit:strategy@0.1.0 ("), "{error}");
    assert!(error.contains("news"), "{error}");
}

#[test]
fn a_plugin_says_what_it_is() {
    let plugin = Wat { wants: 0b1101, warmup_bars: 5_000, ..Wat::default() };
    let bytes = plugin.module();
    let loaded = Yard::new().load("sma_cross.wasm", &bytes).expect("it loads");
    assert_eq!(loaded.name().as_str(), "sma_cross");
    assert_eq!(loaded.sha256(), crate::cache::sha256(&bytes));
    assert_eq!(loaded.sha256().len(), 64);
    let it = loaded.description();
    assert_eq!(
        (it.name.as_str(), it.version.as_str(), it.parameters_schema.as_str()),
        ("test", "1.2.3", "{}")
    );
    assert_eq!(it.wants, Wants { bars: true, quotes: false, trades: true, news: true });
    assert_eq!(it.warmup_bars, 1_000);
    assert_eq!(it.instruments.iter().map(|symbol| symbol.as_str()).collect::<Vec<_>>(), ["A", "B"]);
}

#[test]
fn file_names_must_make_strategy_names() {
    let yard = Yard::new();
    for file in ["SMA.wasm", "sma-cross.wasm", "1.wasm"] {
        let error = yard.load(file, &Wat::default().module()).err().expect("refused");
        assert!(matches!(error, PluginError::Name { .. }), "{error}");
    }
    let error = Plugin::load(&yard.engine, &yard.compiler(), &yard.dir.path().join("none.wasm")).err();
    assert!(error.expect("refused").to_string().starts_with("cannot read /"));
    let error = yard.load("a\nb.wasm", &Wat::default().module()).err().expect("refused").to_string();
    assert!(error.starts_with("a b.wasm: "), "{error}");
}

#[test]
fn a_pipe_is_no_plugin_and_nobody_waits_for_it() {
    let yard = Yard::new();
    let pipe = yard.dir.path().join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    let error = Plugin::load(&yard.engine, &yard.compiler(), &pipe).err().expect("refused").to_string();
    assert!(error.ends_with("pipe.wasm: it is no regular file"), "{error}");
}

/// The files of the one cache entry.
fn entry(compiler: &Compiler) -> Vec<PathBuf> {
    let mut entries = fs::read_dir(&compiler.cache_dir).expect("a cache");
    let entry = entries.next().expect("an entry").expect("readable").path();
    assert!(entries.next().is_none());
    let mut files: Vec<_> =
        fs::read_dir(entry).expect("an entry").map(|file| file.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn the_second_load_compiles_nothing_and_a_damaged_entry_is_made_anew() {
    let yard = Yard::new();
    let (path, compiler) = (yard.write("test.wasm", &Wat::default().module()), yard.compiler());
    let load = |compiler: &Compiler| Plugin::load(&yard.engine, compiler, &path);
    load(&compiler).expect("it loads");
    let files = entry(&compiler);
    let names: Vec<_> = files.iter().map(|file| file.file_name().expect("a name").to_os_string()).collect();
    assert_eq!(names, ["component.cwasm", "component.sha256"], "no copy stays behind");

    let none = Compiler { command: vec!["/nonexistent/compiler".into()], ..compiler.clone() };
    load(&none).expect("from the cache");

    let compiled = fs::read(&files[0]).expect("compiled code");
    for damage in 0..3 {
        match damage {
            0 => {
                let mut bytes = compiled.clone();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&files[0], bytes).expect("damaged");
            }
            1 => fs::write(&files[0], b"").expect("truncated"),
            _ => fs::remove_file(&files[1]).expect("removed"),
        }
        let error = load(&none).err().expect("not from the cache");
        assert!(matches!(error, PluginError::NoCompiler { .. }), "{error}");
        load(&compiler).expect("compiled anew");
        load(&none).expect("from the cache");
    }
}

#[test]
fn a_cache_that_others_can_write_is_not_used() {
    let yard = Yard::new();
    let (path, compiler) = (yard.write("test.wasm", &Wat::default().module()), yard.compiler());
    fs::create_dir(&compiler.cache_dir).expect("a folder");
    fs::set_permissions(&compiler.cache_dir, fs::Permissions::from_mode(0o770)).expect("ours");
    let error = Plugin::load(&yard.engine, &compiler, &path).err().expect("refused").to_string();
    assert!(error.ends_with("must belong to this user with mode 0700: its mode is 770"), "{error}");
}

#[test]
fn a_child_that_dies_is_told_from_one_that_refuses() {
    let yard = Yard::new();
    let path = yard.write("test.wasm", &Wat::default().module());
    let check = |script: &str, expected: &str| {
        let command = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        let compiler = Compiler { command, ..yard.compiler() };
        let found = Plugin::load(&yard.engine, &compiler, &path).err().expect("refused").to_string();
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    };
    check("echo first >&2; echo 'test.wasm is so and so' >&2; exit 2", "test.wasm is so and so");
    check(
        "kill -9 $$",
        "test.wasm kills the compiler (signal: 9 (SIGKILL)): it is damaged, or needs more than 768 MiB",
    );
    check("kill -XCPU $$", "test.wasm takes more than 120 s of processor time to compile: make it smaller");
    check("echo 'thread panicked' >&2; exit 101", "test.wasm kills the compiler (thread panicked)");
    check("echo 'no room' >&2; exit 127", "test.wasm kills the compiler (no room)");
    check("exit 0", "cannot read /");
    check(
        "[ -z \"$HOME$CARGO_MANIFEST_DIR\" ] && exit 7; exit 8",
        "test.wasm kills the compiler (exit status: 7)",
    );
    // The caps are set from outside, so the child may be a little ahead of them.
    check("while [ $(ulimit -v) = unlimited ]; do :; done; ulimit -v >&2; exit 2", "2097152");
}

#[test]
fn the_real_child_obeys_its_memory_cap() {
    let yard = Yard::new();
    let path = yard.write("test.wasm", &Wat::default().module());
    let compiler = Compiler { memory_cap_bytes: 1 << 20, ..yard.compiler() };
    let error = Plugin::load(&yard.engine, &compiler, &path).err().expect("refused");
    assert!(matches!(error, PluginError::CompilerDied { .. }), "{error}");
}

proptest! {
    // Some mutations overflow the stack of the parser of interfaces. That is why it runs in a child.
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damaged_files_are_judged_and_hurt_nobody(at in 8_usize..20_000, bit in 0_u8..8, cut in any::<bool>()) {
        let mut bytes = Wat::default().module();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        // Loading is fine too: some bits do not matter.
        if let Err(error) = Yard::new().load("test.wasm", &bytes) {
            prop_assert!(error.to_string().starts_with("test.wasm"), "{}", error);
        }
    }
}
