//! Evidence passes through on its way into the vault and back, it does not pile up. The operating system's own count of each process is judged.
//! (`bench::large` does the same with 5 GiB, by name.)

use super::vault::{PLACE, Vault};
use crate::bundle::bag::{Bag, FUNCTION_ZIP, NAME, Parts, sha, sha_base64};
use crate::support::emulator::ok;
use crate::support::stage::PROGRAM;
use crate::support::tools::python_tools;
use freezeframe::drill::command::{Ended, Shell};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

const LIMIT: u64 = 100 << 20;

/// Runs what follows the first argument, and writes into the file that this names how much memory it took at its peak, in bytes.
const MEASURE: &str = "
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], 'w').write(str(peak if sys.platform == 'darwin' else peak * 1024))
sys.exit(code)
";

/// Bytes that no compression makes smaller, the same on every run, piece by piece.
fn noise(bytes: u64, mut each: impl FnMut(&[u8])) {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut piece = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        for word in piece.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let n = left.min(piece.len() as u64);
        each(&piece[..n as usize]);
        left -= n;
    }
}

/// A bag in a directory, whose one large file of so many bytes was never in memory.
fn bag_in(dir: &Path, bytes: u64) -> Bag {
    use sha2::Digest as _;
    let at = dir.join(FUNCTION_ZIP);
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    let mut file = BufWriter::new(File::create(&at).unwrap());
    let mut hasher = sha2::Sha256::new();
    noise(bytes, |piece| {
        hasher.update(piece);
        file.write_all(piece).unwrap();
    });
    file.into_inner().unwrap().sync_all().unwrap();
    let digest: [u8; 32] = hasher.finalize().into();
    // The builder hashes what it is given: a stand-in goes through it, and its digests are exchanged for the real ones.
    let mut parts = Parts::good();
    let small = parts.payload[FUNCTION_ZIP].clone();
    let (hex_small, base_small) = (sha(&small), sha_base64(&small));
    let (hex_big, base_big) = (hex::encode(digest), {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(digest)
    });
    let swap = |v: &mut serde_json::Value| {
        let text = v.to_string().replace(&hex_small, &hex_big).replace(&base_small, &base_big);
        *v = serde_json::from_str(&text).unwrap();
    };
    for x in parts.exchanges.values_mut().filter(|x| x["body_sha256"] == json!(hex_small)) {
        x["body_bytes"] = json!(bytes);
        swap(x);
    }
    for item in &mut parts.items {
        for f in item.get_mut("files").and_then(|f| f.as_array_mut()).into_iter().flatten().filter(|f| f["path"] == FUNCTION_ZIP) {
            f["bytes"] = json!(bytes);
        }
        swap(item);
    }
    parts.journal.iter_mut().flatten().for_each(swap);
    let mut bag = parts.seal();
    // Oxum and manifest speak of the real file.
    let oxum =
        bag.files.iter().filter(|(p, _)| p.starts_with("data/")).map(|(_, b)| b.len() as u64).sum::<u64>() - small.len() as u64 + bytes;
    let count = bag.files.keys().filter(|p| p.starts_with("data/")).count();
    let info = String::from_utf8(bag.files["bag-info.txt"].clone()).unwrap();
    let old = info.lines().find(|l| l.starts_with("Payload-Oxum: ")).unwrap().to_string();
    bag.files.insert("bag-info.txt".into(), info.replace(&old, &format!("Payload-Oxum: {oxum}.{count}")).into_bytes());
    let manifest = String::from_utf8(bag.files["manifest-sha256.txt"].clone()).unwrap().replace(&hex_small, &hex_big);
    bag.files.insert("manifest-sha256.txt".into(), manifest.into_bytes());
    bag.manifests_but_payload();
    let mut rest = bag.clone();
    rest.files.remove(FUNCTION_ZIP);
    rest.write_to(dir);
    bag
}

/// The command's end, and its peak in bytes.
async fn measured(vault: &Vault, program: &str, args: &[&str]) -> (Ended, u64) {
    let told = vault.stage.files.path().join("peak");
    let python = Shell::new(&python_tools().join("python3"), &vault.stage.emulator, &vault.stage.emulator.root, &vault.cases);
    let ended = python.run(&[&["-c", MEASURE, told.to_str().unwrap(), program], args].concat()).await.unwrap();
    let peak = std::fs::read_to_string(told).unwrap().parse().unwrap();
    println!("{} {}: {:.1} MB at its peak", program.rsplit('/').next().unwrap(), args[0], peak as f64 / f64::from(1 << 20));
    (ended, peak)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_megabytes_go_into_the_vault_and_are_read_there_in_a_hundred() {
    let vault = Vault::set(&Bag::good()).await;
    std::fs::remove_file(vault.bundle()).unwrap();
    let dir = vault.case().join(NAME);
    bag_in(&dir, 300 << 20);
    let mut peaks = vec![];
    let (told, peak) = measured(&vault, PROGRAM, &["verify", dir.to_str().unwrap()]).await;
    assert_eq!(ok(told, 0)["verdict"], "whole");
    peaks.push(("verify", peak));
    let (told, peak) = measured(&vault, PROGRAM, &["archive", dir.to_str().unwrap(), PLACE, "--retain", "1d"]).await;
    let told = ok(told, 0);
    assert!(told["bytes"].as_u64().unwrap() > 300 << 20, "{told:#}");
    peaks.push(("archive", peak));
    let (told, peak) = measured(&vault, PROGRAM, &["verify", &vault.place()]).await;
    assert_eq!(ok(told, 0)["verdict"], "whole");
    peaks.push(("verify s3", peak));
    let out = vault.stage.files.path().join("out");
    let (told, peak) = measured(&vault, PROGRAM, &["fetch", &vault.place(), "--to", out.to_str().unwrap()]).await;
    assert_eq!(ok(told, 0)["verification"]["verdict"], "whole");
    peaks.push(("fetch", peak));
    assert!(peaks.iter().all(|(_, peak)| *peak < LIMIT), "{peaks:?}");
}
