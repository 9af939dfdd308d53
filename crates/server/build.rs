//! Embeds the built web application: every file of `ui/dist`, compressed once at build time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut files = Vec::new();
    collect(&dist, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let path = file.strip_prefix(&dist).expect("found below dist").to_string_lossy().replace('\\', "/");
        let packed = out.join(format!("asset{number}.gz"));
        let mut encoder = flate2::write::GzEncoder::new(
            fs::File::create(&packed).expect("OUT_DIR is writable"),
            flate2::Compression::best(),
        );
        encoder.write_all(&fs::read(file).expect("a listed file can be read")).expect("OUT_DIR is writable");
        encoder.finish().expect("OUT_DIR is writable");
        table += &format!("    ({path:?}, include_bytes!({packed:?})),\n");
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("OUT_DIR is writable");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    // No folder: the binary is built without the web application and says so on its first page.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
