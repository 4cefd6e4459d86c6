//! The program as the benchmarks call it: its server under its load, over each wire.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FLOOR: &str = env!("CARGO_BIN_EXE_floor");

/// A server's process, which ends with its standard input.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(words: &[&str]) -> io::Result<Self> {
        let mut process =
            Command::new(FLOOR).arg("serve").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().expect("it is a pipe")).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    fn pid(&self) -> String {
        self.process.id().to_string()
    }

    fn end(mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        assert!(self.process.wait()?.success());
        Ok(())
    }
}

/// What a generator prints, by lines of numbers; `input` is its standard input.
fn measure(words: &[&str], input: &str) -> io::Result<Vec<Vec<f64>>> {
    let mut process = Command::new(FLOOR).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    process.stdin.take().expect("it is a pipe").write_all(input.as_bytes())?;
    let output = process.wait_with_output()?;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    Ok(text.lines().map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect()).collect())
}

fn echo(wire: &str, words: &[&str], sizes: &[&str]) -> io::Result<()> {
    let server = Server::start(&[&[wire], words].concat())?;
    for size in sizes {
        let lines = measure(&["load", wire, &server.address, &server.pid(), "20", size, "0.05"], "")?;
        let [messages, seconds, cpu] = lines[0][..] else { panic!("three numbers, not {lines:?}") };
        assert!(messages > 0.0, "{wire}, {size}");
        assert!(seconds >= 0.05);
        assert!(cpu > 0.0);
    }
    server.end()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> io::Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn tcp() -> io::Result<()> {
    echo("tcp", &[], &["1", "1024", "102400", "1000000"])
}

#[test]
fn unix() -> io::Result<()> {
    // Not in the target folder: a socket's path may be no longer than 107 bytes.
    let name = format!("/tmp/fenshen-floor-{}.sock", std::process::id());
    let done = echo("unix", &[&name], &["1024", "102400"]);
    fs::remove_file(&name)?;
    done
}

#[test]
fn udp() -> io::Result<()> {
    echo("udp", &[], &["1024", "10240"])
}

#[test]
fn tls() -> io::Result<()> {
    let folder = Folder::new("tls")?;
    let (key, certificate) = (folder.file("key.pem"), folder.file("certificate.pem"));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost";
    let made = Command::new("openssl")
        .args(words.split(' '))
        .args(["-keyout", &key, "-out", &certificate])
        .stderr(Stdio::null())
        .status();
    match made {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("openssl is not here: TLS is not tested");
            Ok(())
        }
        _ => echo("tls", &[&certificate, &key], &["1", "1024", "102400"]),
    }
}

#[test]
fn accept() -> io::Result<()> {
    let server = Server::start(&["tcp"])?;
    let lines = measure(&["accept", &server.address, &server.pid(), "5", "0.05"], "")?;
    assert!(lines[0][0] > 0.0);
    server.end()
}

#[test]
fn crowd() -> io::Result<()> {
    let server = Server::start(&["tcp"])?;
    let lines = measure(&["crowd", &server.address, &server.pid(), "120", "10", "1024", "0.05"], "\n\n")?;
    let [alone, idle, among] = &lines[..] else { panic!("three lines, not {lines:?}") };
    assert!(idle.is_empty());
    for [messages, _, _, median, p99] in
        [alone, among].map(|line| <[f64; 5]>::try_from(&line[..]).expect("five numbers"))
    {
        assert!(messages > 0.0);
        assert!(0.0 < median && median <= p99);
    }
    server.end()
}
