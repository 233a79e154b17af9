//! Evidence passes through, it does not pile up: a code package of 200 MB, from the emulator's presigned address into a bundle and through
//! the verifier, in the memory that a small function needs anyway. The operating system's own count of each process is what is judged.

use crate::support::emulator::ok;
use crate::support::stage::{Empty, PROGRAM};
use crate::support::tools::python_tools;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_s3::primitives::ByteStream;
use freezeframe::drill::command::Shell;
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};

const LIMIT: u64 = 80 << 20;
const BUCKET: &str = "code";

/// Runs what follows the first argument, and writes into the file that this names how much memory it took at its peak, in bytes.
const MEASURE: &str = "
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], 'w').write(str(peak if sys.platform == 'darwin' else peak * 1024))
sys.exit(code)
";

/// A package of so many MiB that no compression makes smaller: the same on every run.
fn package(mebibytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::with_capacity((mebibytes << 20) + 4096)));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("app.py", stored).unwrap();
    zip.write_all(b"def handler(event, context):\n    return 1\n").unwrap();
    zip.start_file("model.bin", stored).unwrap();
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        for word in chunk.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        zip.write_all(&chunk).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

impl Empty {
    async fn function(&self, name: &str, role: &str, code: Vec<u8>) {
        self.aws.s3.put_object().bucket(BUCKET).key(name).body(ByteStream::from(code)).send().await.unwrap();
        let lambda = self.aws.lambda.create_function().function_name(name).role(role).runtime(Runtime::Python312).handler("app.handler");
        lambda.code(FunctionCode::builder().s3_bucket(BUCKET).s3_key(name).build()).send().await.unwrap();
    }

    /// The document that a command printed, and its peak in bytes.
    async fn measured(&self, args: &[&str]) -> (Value, u64) {
        let told = self.files.path().join("peak");
        let python = Shell::new(&python_tools().join("python3"), &self.emulator, &self.emulator.root, self.files.path());
        let ended = python.run(&[&["-c", MEASURE, told.to_str().unwrap(), PROGRAM], args].concat()).await.unwrap();
        let peak = std::fs::read_to_string(told).unwrap().parse().unwrap();
        println!("freezeframe {}: {:.1} MB at its peak", args[0], peak as f64 / f64::from(1 << 20));
        (ok(ended, 0), peak)
    }
}

fn bundle(report: &Value) -> &str {
    report["bundles"][0]["path"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_megabytes_of_code_pass_through_in_eighty() {
    let stage = Empty::set().await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let role = stage.aws.iam.create_role().role_name("big").assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let role = role.role.unwrap().arn;
    stage.aws.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    stage.function("small", &role, package(0)).await;
    let big = package(200);
    let bytes = big.len() as u64;
    stage.function("big", &role, big).await;

    let (_, without) = stage.measured(&["snapshot", "small", "--case", "M-1"]).await;
    let (snapshot, snapshot_peak) = stage.measured(&["snapshot", "big", "--case", "M-2"]).await;
    assert!(snapshot["bundles"][0]["bytes"].as_u64().unwrap() > bytes && snapshot["mismatches"] == json!([]), "{snapshot:#}");
    let (verified, verify_peak) = stage.measured(&["verify", bundle(&snapshot)]).await;
    assert_eq!((&verified["verdict"], &verified["provider_digests"][0]["recomputed_match"]), (&json!("whole"), &json!(true)));
    let (ran, run_peak) = stage.measured(&["run", "snapshot-and-contain", "big", "--case", "M-3", "--yes"]).await;
    assert_eq!(ran["bundles"].as_array().unwrap().len(), 2);
    println!("{bytes} bytes of code; 200 MB more cost snapshot {:.1} MB", (snapshot_peak as f64 - without as f64) / f64::from(1 << 20));
    for (command, peak) in [("snapshot", snapshot_peak), ("verify", verify_peak), ("run", run_peak)] {
        assert!(peak < LIMIT, "`{command}` took {peak} bytes at its peak");
    }
}
