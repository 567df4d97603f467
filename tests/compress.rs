//! Runs: what `compress` and `train` leave behind, that they survive being stopped anywhere, and what they refuse.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nickeldime_testkit::{
    command::{error, json, run, text},
    fixture,
    pickle_writer::ordered_dict,
    torch_writer,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A compression of two iterations of 8 images, in a method, into a folder; an empty `embed` gives none.
fn small_run<'a>(output: &'a Path, method: &'a str, embed: &'a str) -> Vec<&'a str> {
    let teacher = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/digits32/teacher-digits32.pkl");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/digits32/digits32.zip");
    let mut args = vec!["compress", "--teacher", teacher, "--data", data, "--ratio", "0.85", "--mirror", "false"];
    args.extend(["--batch", "8", "--kimg", "0.016", "--score-samples", "8", "--moment-samples", "32"]);
    args.extend(["--method", method, "-o", text(output)]);
    if !embed.is_empty() {
        args.extend(["--embed", embed]);
    }
    args
}

/// The arguments with other values of some of their flags.
fn with<'a>(mut args: Vec<&'a str>, values: &[(&str, &'a str)]) -> Vec<&'a str> {
    for (flag, value) in values {
        let at = args.iter().position(|arg| arg == flag).expect("the flag is there");
        args[at + 1] = value;
    }
    args
}

fn embed() -> String {
    format!("small={}:5", text(&fixture("digits32/embedder.safetensors")))
}

fn log(run: &Path) -> Vec<Value> {
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_compression_leaves_a_student_its_record_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, embed) = (folder.path().join("run"), embed());
    let args = small_run(&run_folder, "nickel-dime", &embed);
    let (code, _, err) = run(&args);
    assert_eq!(code, 0, "{err}");
    assert!(err.lines().next().unwrap().contains("not one of the paper's"), "{err}");
    // A run's folder is a model: its newest student.
    assert_eq!(json(&["inspect", text(&run_folder)])["channels"]["32"], 5);
    let (grid, pack) = (folder.path().join("grid.png"), folder.path().join("student.ndm"));
    assert_eq!(json(&["sample", text(&run_folder), "--seed", "0..3", "-o", text(&grid)])["images"], 4);
    json(&["pack", text(&run_folder), "-o", text(&pack)]);
    assert_eq!(json(&["inspect", text(&pack)])["channels"]["32"], 5);
    let record: Value = serde_json::from_slice(&fs::read(run_folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["settings"]["ratio"], 0.85);
    assert_eq!(record["settings"]["mirror"], false);
    let lines = log(&run_folder);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["images"], 16);
    for loss in ["path", "r1", "matching", "dime"] {
        assert!(lines[0][loss].as_f64().unwrap() > 0.0, "{loss}");
    }
    for grid in ["teacher", "000000000", "000000016"] {
        assert!(run_folder.join(format!("grids/{grid}.png")).exists(), "{grid}");
    }

    // The same again gives the same student; a run is not written over.
    assert!(error(&args).contains("already holds a run"));
    let again = folder.path().join("again");
    json(&small_run(&again, "nickel-dime", &embed));
    let student = |run: &Path| fs::read(run.join("student.safetensors")).unwrap();
    assert!(student(&run_folder) == student(&again), "two equal runs differ");
}

#[test]
fn every_method_uses_its_parts_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let embed = embed();
    for (method, dime, nickel, l1) in [
        ("dime", true, false, false),
        ("nickel", false, true, false),
        ("gan", false, false, false),
        ("l1", false, false, true),
    ] {
        let output = folder.path().join(method);
        let embed = if dime { &embed } else { "" };
        json(&small_run(&output, method, embed));
        let line = &log(&output)[1];
        let number = |name: &str| line[name].as_f64().unwrap() > 0.0;
        assert_eq!((number("dime"), number("matching"), number("l1")), (dime, nickel, l1), "{method}");
        assert_eq!(line["teacher_logits"].is_object(), nickel, "{method}");
    }
}

#[test]
fn every_method_that_the_paper_compares_with_uses_its_terms_and_says_its_substitutions() {
    let folder = tempfile::tempdir().unwrap();
    let embed = embed();
    let terms = ["l1", "perceptual", "relation", "energy_fit"];
    for (method, uses) in [
        ("gs", [false, true, false, false]),
        ("cagc", [true, true, false, false]),
        ("itgc", [true, true, false, true]),
        ("stylekd", [true, true, true, false]),
        ("dcp", [true, true, true, false]),
    ] {
        let output = folder.path().join(method);
        let args = small_run(&output, method, &embed);
        let (code, _, said) = run(&args);
        assert_eq!(code, 0, "{method}: {said}");
        assert!(said.contains("perceptual distance: small embedder, not "), "{method}: {said}");
        assert_eq!(said.contains("content mask: whole image (no face parser)"), method != "gs", "{method}: {said}");
        assert_eq!(said.contains("sparse stage: 0.004 kimg"), method == "gs", "{method}: {said}");
        let line = &log(&output)[1];
        let found = terms.map(|term| line[term].as_f64().unwrap() != 0.0);
        assert_eq!(found, uses, "{method}: {line}");
        assert_ne!(line["generator_fake"].as_f64().unwrap(), 0.0);
        assert_eq!(json(&["inspect", text(&output)])["channels"]["32"], 5, "{method}");
        let record: Value = serde_json::from_slice(&fs::read(output.join("run.json")).unwrap()).unwrap();
        assert!(record["substitutions"][0].as_str().unwrap().contains("small embedder"), "{record}");
    }
}

#[test]
fn an_energy_network_goes_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let embed = embed();
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    json(&with(small_run(&whole, "itgc", &embed), &[("--kimg", "0.032")]));
    // A snapshot after half of it is what a run goes on from when it is killed; the settings are those of the whole run.
    let args = with(small_run(&parts, "itgc", &embed), &[("--kimg", "0.032")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_nickeldime"))
        .args(args.iter().copied().chain(["--snapshot-kimg", "0.016"]))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(240);
    while !parts.join("grids/000000016.png").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "no snapshot");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    json(&["compress", "--resume", "-o", text(&parts)]);
    let last = |run: &Path| log(run).last().unwrap()["energy_fit"].as_f64().unwrap();
    assert_eq!(log(&parts).len(), 4);
    assert_eq!(last(&whole), last(&parts));
}

#[test]
fn a_start_is_chosen_among_several_and_refined() {
    let folder = tempfile::tempdir().unwrap();
    let embed = embed();
    let student = |name: &str, more: &[&str]| {
        let output = folder.path().join(name);
        let args = with(small_run(&output, "nickel-dime", &embed), &[("--kimg", "0")]);
        json(&[&args[..], more].concat());
        fs::read(output.join("student.safetensors")).unwrap()
    };
    let one = student("one", &[]);
    assert!(one != student("svs", &["--refine", "svs"]), "the start is not refined");
    assert!(one != student("fresh", &["--criterion", "style"]), "the criterion makes no difference");
    // With as few samples as these, starts of other seeds differ. The choice among several depends on no seed.
    let of = |seed: &str, starts| student(&format!("{seed}-{starts}"), &["--seed", seed, "--starts", starts]);
    let [first, second] = ["1", "2"].map(|seed| of(seed, "1"));
    assert!(first != second, "the seed makes no difference to a single start");
    let chosen = of("1", "4");
    assert!(chosen == of("2", "4"), "the chosen start depends on the run's seed");
    assert!(one == of("0", "4"), "four starts are the default");
    let output = folder.path().join("bad");
    let args = small_run(&output, "nickel-dime", &embed);
    assert!(error(&[&args[..], &["--dime-batch", "3"]].concat()).contains("dime-batch: must divide the batch of 8"));
}

#[test]
fn without_embeddings_a_run_makes_its_own_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    let small = ["--embedder-kimg", "0.256", "--seed", "3"];
    let without = |output: &Path| -> Vec<String> {
        small_run(output, "nickel-dime", "").into_iter().chain(small).map(String::from).collect()
    };
    let args = without(&own);
    let (code, _, said) = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 0, "{said}");
    let first: Vec<&str> = said.lines().take(2).collect();
    assert!(first[0].contains("not one of the paper's") && first[0].contains("trains one on its own images"), "{said}");
    assert!(first[1].contains("other than the paper's"), "{said}");
    assert!(log(&own)[1]["dime"].as_f64().unwrap() > 0.0);

    // It is what the command of its own makes, and it is used as such.
    let file = folder.path().join("e.safetensors");
    let data = fixture("digits32/digits32.zip");
    json(&["embedder", "train", "--data", text(&data), "--kimg", "0.256", "--seed", "3", "-o", text(&file)]);
    assert_eq!(fs::read(&file).unwrap(), fs::read(own.join("embedder.safetensors")).unwrap());
    let given = folder.path().join("given");
    let embed = format!("small={}", text(&file));
    json(&[&small_run(&given, "nickel-dime", &embed)[..], &["--seed", "3"]].concat());
    assert!(student(&own) == student(&given), "the same embedder, another student");

    // A resumed run finds it, and makes it again where it is gone.
    fs::remove_file(own.join("embedder.safetensors")).unwrap();
    json(&["compress", "--resume", "-o", text(&own)]);
    assert_eq!(fs::read(&file).unwrap(), fs::read(own.join("embedder.safetensors")).unwrap());
    let page = folder.path().join("page.html");
    json(&["report", text(&own), "-o", text(&page)]);
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("small (trained by the run on its own images, weight 5); <b>not the paper's</b>"));
}

fn student(run: &Path) -> Vec<u8> {
    fs::read(run.join("student.safetensors")).unwrap()
}

/// A run of 8 iterations that takes care of its embedder too.
fn longer_run(output: &Path) -> Vec<String> {
    let args = with(small_run(output, "nickel-dime", ""), &[("--kimg", "0.064")]);
    args.into_iter().chain(["--snapshot-kimg", "0.024", "--embedder-kimg", "0.128"]).map(String::from).collect()
}

fn quiet<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nickeldime"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the run has written down what it was asked for: nothing can be resumed before.
fn begun(child: &mut Child, output: &Path) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !output.join("run.json").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the run does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the log says, but for the time that it took.
fn losses(run: &Path) -> Vec<Value> {
    let mut lines = log(run);
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seconds")));
    lines
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_student() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed, stopped] = ["whole", "killed", "stopped"].map(|name| folder.path().join(name));
    let mut child = quiet(&longer_run(&whole));
    begun(&mut child, &whole);
    let started = Instant::now();
    assert!(child.wait().unwrap().success());
    let all = started.elapsed();

    // Another moment every time that the test is run.
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut moment = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.mul_f64((random >> 40) as f64 / f64::from(1u32 << 24))
    };
    let resume = |output: &Path| vec!["compress".to_string(), "--resume".into(), "-o".into(), text(output).into()];
    let mut kill = |args: &[String], output: &Path| {
        let mut child = quiet(args);
        begun(&mut child, output);
        let moment = moment();
        std::thread::sleep(moment);
        // It may have come to its end by now.
        let _ = kill_process(Pid::from_child(&child), Signal::KILL);
        let ended = child.wait().unwrap();
        println!("killed {:.2} s of {:.2} s after it began: {ended}", moment.as_secs_f64(), all.as_secs_f64());
    };
    kill(&longer_run(&killed), &killed);
    kill(&resume(&killed), &killed);
    json(&["compress", "--resume", "-o", text(&killed)]);
    assert!(student(&killed) == student(&whole), "another student after kills");
    assert_eq!(losses(&killed), losses(&whole));

    // Ctrl-C saves what there is, and says how to go on.
    let mut child = quiet(&longer_run(&stopped));
    begun(&mut child, &stopped);
    let deadline = Instant::now() + Duration::from_secs(120);
    while !stopped.join("state").exists() {
        assert!(Instant::now() < deadline, "no snapshot");
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process(Pid::from_child(&child), Signal::INT);
    let ended = child.wait().unwrap();
    assert!(matches!(ended.code(), Some(0 | 130)), "{ended}");
    json(&["compress", "--resume", "-o", text(&stopped)]);
    assert!(student(&stopped) == student(&whole), "another student after Ctrl-C");
    assert_eq!(losses(&stopped), losses(&whole));

    // Nothing is gone on with that is not whole, or not there.
    fs::write(killed.join("state"), "half a state").unwrap();
    assert!(error(&["compress", "--resume", "-o", text(&killed)]).contains("damaged"));
    assert!(error(&["compress", "--resume", "-o", text(folder.path())]).contains("no run"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, disk) = (folder.path().join("whole"), folder.path().join("disk"));
    fs::create_dir(&disk).unwrap();
    let output = disk.join("run");
    let script = format!(
        "mount -t tmpfs -o size=2M tmpfs {disk} || exit 77
         {program} {args} 2>{said}.first; echo $? >{said}.code
         find {disk} -type f | sort >{said}.files
         mount -o remount,size=1G {disk} && {program} compress --resume -o {output} >&2 && cp {output}/student.safetensors {said}",
        disk = text(&disk),
        program = env!("CARGO_BIN_EXE_nickeldime"),
        args = small_run(&output, "nickel-dime", &embed()).join(" "),
        said = text(&folder.path().join("said")),
        output = text(&output),
    );
    // A disk of its own, in a view of the file system of its own: it is gone when the shell ends.
    let shell = Command::new("unshare").args(["--mount", "--map-root-user", "sh", "-c", &script]).output();
    match shell {
        Ok(shell) if shell.status.success() => {}
        Ok(shell) if shell.status.code() == Some(77) || !folder.path().join("said.code").exists() => {
            eprintln!("not tested: no small disk can be mounted here: {}", String::from_utf8_lossy(&shell.stderr));
            return;
        }
        Ok(shell) => panic!("{}", String::from_utf8_lossy(&shell.stderr)),
        Err(e) => {
            eprintln!("not tested: no unshare here: {e}");
            return;
        }
    }
    let said = |part: &str| fs::read_to_string(folder.path().join(format!("said.{part}"))).unwrap();
    assert_eq!(said("code").trim(), "1");
    let last = said("first").lines().last().unwrap_or_default().to_string();
    assert!(last.starts_with("error: ") && last.contains("No space left on device"), "{last}");
    assert!(last.contains(text(&output)), "names no file: {last}");
    assert!(!said("files").contains(".nickeldime-"), "half a file is left: {}", said("files"));
    json(&small_run(&whole, "nickel-dime", &embed()));
    assert!(student(&whole) == fs::read(folder.path().join("said")).unwrap(), "another student after a full disk");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, output) = (folder.path().join("whole"), folder.path().join("run"));
    let embed = embed();
    let args = small_run(&output, "nickel-dime", &embed);
    // The log and the record fit, a grid does not. The signal's default would end the command before it can speak.
    let script = "trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\"";
    let limited =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_nickeldime")]).args(&args).output().unwrap();
    let said = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert_eq!(limited.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains(text(&output)) && last.contains("File too large"), "{said}");
    let all = fs::read_dir(output.join("grids")).unwrap().chain(fs::read_dir(&output).unwrap());
    let names: Vec<_> = all.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains(".nickeldime-")), "half a file is left: {names:?}");
    json(&["compress", "--resume", "-o", text(&output)]);
    json(&small_run(&whole, "nickel-dime", &embed));
    assert!(student(&output) == student(&whole), "another student");
}

#[test]
fn gradients_that_stay_broken_stop_the_run_with_their_count_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let args = with(small_run(&output, "gan", ""), &[("--batch", "2"), ("--kimg", "1")]);
    let args = [&args[..], &["--lr", "1e18"]].concat();
    let said = error(&args);
    assert!(said.contains("no finite gradient for 100 iterations") && said.contains("--lr"), "{said}");
    let lines = log(&output);
    assert!(lines.len() >= 100 && lines.len() < 200, "{}", lines.len());
    assert!(lines[lines.len() - 100..].iter().all(|line| line["replaced"].as_u64().unwrap() > 0));
}

#[test]
fn images_of_another_size_are_resized_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for (name, width, height) in [("a.png", 48, 40), ("b.jpg", 32, 32), ("c.png", 16, 20)] {
        let colour = |x: u32, y: u32| image::Rgb([(x * 5) as u8, (y * 5) as u8, 128]);
        image::RgbImage::from_fn(width, height, colour).save(images.join(name)).unwrap();
    }
    let output = folder.path().join("run");
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let args = ["compress", "--teacher", text(&teacher), "--data", text(&images), "-o", text(&output)];
    let args =
        [&args[..], &["--method", "gan", "--batch", "4", "--kimg", "0.004", "--criterion", "magnitude"]].concat();
    let said = error(&args);
    assert!(said.contains("a.png: 48x40") && said.contains("--resize"), "{said}");
    assert!(!output.exists());
    json(&[&args[..], &["--resize"]].concat());
    // It remembers, and so does its evaluation, which by itself measures in the teacher's critic.
    json(&["compress", "--resume", "-o", text(&output)]);
    let measured = json(&["eval", text(&output), "--samples", "5", "--kid"]);
    assert_eq!((&measured["reference_samples"], &measured["extractor"]["kind"]), (&3.into(), &"critic".into()));
}

#[test]
fn a_teacher_can_be_trained_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (fixture("digits32/digits32.zip"), folder.path().join("run"));
    let sizes = ["--channel-base", "256", "--channel-max", "8", "--z-dim", "16", "--w-dim", "16"];
    let args =
        ["train", "--data", text(&data), "--batch", "8", "--kimg", "0.016", "--mirror", "false", "-o", text(&output)];
    json(&[&args[..], &sizes].concat());
    let trained = json(&["inspect", text(&output)]);
    assert_eq!((trained["resolution"].as_u64(), trained["discriminator"].as_bool()), (Some(32), Some(true)));
    assert!(error(&["compress", "--resume", "-o", text(&output)]).contains("nickeldime train"));
    // What only a compression has, it has not.
    assert_eq!(run(&[&args[..], &["--ratio", "0.5"]].concat()).0, 2);
    let page = folder.path().join("page.html");
    json(&["report", text(&output), "-o", text(&page)]);
    assert!(fs::read_to_string(&page).unwrap().contains("<td class=\"t\">from scratch</td><td>\u{2013}</td>"));

    // It is a teacher.
    let (student, teacher) = (folder.path().join("student"), output.join("student.safetensors"));
    let args = ["compress", "--teacher", text(&teacher), "--data", text(&data), "--batch", "4", "--kimg", "0.004"];
    let args =
        [&args[..], &["--ratio", "0.5", "--score-samples", "4", "--method", "nickel", "-o", text(&student)]].concat();
    json(&args);
}

#[test]
fn settings_come_from_preset_file_and_flags_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    fs::write(&file, "gamma = 0.5\nbatch = 4\n").unwrap();
    let output = folder.path().join("run");
    let base = small_run(&output, "gan", "");
    json(&[&base[..], &["--settings", text(&file)]].concat());
    let record: Value = serde_json::from_slice(&fs::read(output.join("run.json")).unwrap()).unwrap();
    let settings = &record["settings"];
    assert_eq!((settings["gamma"].as_f64(), settings["batch"].as_u64()), (Some(0.5), Some(8)));
    // auto, for 32x32.
    assert_eq!(settings["ema-rampup"].as_f64(), Some(0.05));

    fs::write(&file, "gama = 0.5\n").unwrap();
    let other = folder.path().join("other");
    let said = error(&[&small_run(&other, "gan", "")[..], &["--settings", text(&file)]].concat());
    assert!(said.contains("settings.toml") && said.contains("gama"), "{said}");
    assert!(!other.exists());
}

#[test]
fn a_compression_that_cannot_be_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let (teacher, data) = (fixture("digits32/teacher-digits32.pkl"), fixture("digits32/digits32.zip"));
    let base = ["compress", "--teacher", text(&teacher), "-o", text(&output), "--data"];
    let refused = |more: &[&str], why: &str| {
        let said = error(&[&base[..], more].concat());
        assert!(said.contains(why), "{said}");
    };
    refused(&[text(&data), "--ratio", "1"], "ratio");
    refused(&[text(&data), "--batch", "6"], "batch");
    refused(&[text(&data), "--lr", "nan"], "lr");
    refused(&[text(&folder.path().join("nothing"))], "nothing");
    let other = folder.path().join("images");
    fs::create_dir(&other).unwrap();
    image::RgbImage::new(16, 16).save(other.join("small.png")).unwrap();
    refused(&[text(&other)], "16x16");
    fs::write(other.join("broken.png"), "no picture").unwrap();
    refused(&[text(&other)], "broken.png");
    let embed = format!("small={}", text(&fixture("digits32/teacher-digits32.safetensors")));
    let one = ["--score-samples", "1"];
    refused(&[&[text(&data), "--embed", &embed][..], &one].concat(), "conv1.weight");
    let empty = folder.path().join("empty");
    fs::create_dir_all(empty.join("below")).unwrap();
    refused(&[text(&empty)], "empty: no image in it (PNG, JPEG");
    let corrupt = folder.path().join("corrupt");
    fs::create_dir(&corrupt).unwrap();
    fs::write(corrupt.join("cut.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 16]).unwrap();
    refused(&[text(&corrupt)], "cut.jpg");
    // torchvision's ResNet-18 is no DINO ResNet-50.
    let resnet18 =
        [("conv1.weight", &[64, 3, 7, 7][..]), ("bn1.weight", &[64]), ("layer1.0.conv1.weight", &[64, 64, 3, 3])];
    let resnet18 = resnet18.map(|(name, shape)| (name.to_string(), ndarray::ArrayD::zeros(shape))).into();
    let (entries, storages) = torch_writer::state_dict(&resnet18, false);
    let other = folder.path().join("resnet18.pth");
    fs::write(&other, torch_writer::zip(&ordered_dict(entries), &storages)).unwrap();
    refused(&[text(&data), "--embed", &format!("dino={}", text(&other))], "resnet18.pth: ");
    refused(&[text(&data), "--method", "gan", "--embed", &format!("dino={}", text(&other))], "leave --embed out");
    refused(&[text(&data), "--moments", text(&other)], "resnet18.pth");
    assert!(!output.exists(), "a refused run leaves nothing");
}

#[test]
fn a_jpeg_that_is_found_damaged_in_the_middle_of_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for name in ["a.jpg", "b.jpg"] {
        let colour = |x: u32, y: u32| image::Rgb([((x * 37) ^ (y * 101)) as u8, (x * y) as u8, y as u8]);
        image::RgbImage::from_fn(32, 32, colour).save(images.join(name)).unwrap();
    }
    let whole = fs::read(images.join("b.jpg")).unwrap();
    fs::write(images.join("b.jpg"), &whole[..whole.len() - 200]).unwrap();
    let (output, teacher) = (folder.path().join("run"), fixture("digits32/teacher-digits32.pkl"));
    let args = ["compress", "--teacher", text(&teacher), "--data", text(&images), "-o", text(&output)];
    let args =
        [&args[..], &["--method", "gan", "--batch", "2", "--kimg", "0.004", "--criterion", "magnitude"]].concat();
    let said = error(&args);
    assert!(said.contains("b.jpg: damaged JPEG"), "{said}");
    // Mended, the run goes on.
    fs::write(images.join("b.jpg"), &whole).unwrap();
    json(&["compress", "--resume", "-o", text(&output)]);
}

/// Images of a model, as a folder for training.
fn images_of(model: &Path, folder: &Path, seeds: &str) -> std::path::PathBuf {
    let images = folder.join("images");
    json(&["sample", text(model), "--seed", seeds, "--each", text(&images)]);
    images
}

/// A compression of one iteration of 4 images.
fn shortest<'a>(teacher: &'a Path, data: &'a Path, output: &'a Path) -> Vec<&'a str> {
    let mut args = vec!["compress", "--teacher", text(teacher), "--data", text(data), "-o", text(output)];
    args.extend(["--ratio", "0.5", "--mirror", "false", "--batch", "4", "--kimg", "0.004"]);
    args.extend(["--score-samples", "4", "--method", "gan"]);
    args
}

#[test]
fn a_checkpoint_of_rosinalitys_goes_all_the_way_to_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (teacher, run_folder, pack) = (at("t.safetensors"), at("run"), at("m.ndm"));
    let imported = json(&["import", text(&fixture("cases/rosinality/800000.pt")), "-o", text(&teacher)]);
    assert_eq!(imported["discriminator"], true);
    let images = images_of(&teacher, folder.path(), "0..7");
    json(&shortest(&teacher, &images, &run_folder));
    assert_eq!(json(&["inspect", text(&run_folder)])["channels"]["16"], 4);
    json(&["pack", text(&run_folder), "-o", text(&pack)]);
    let board = Emulated::start();
    json(&["send", text(&pack), "--port", &board.port]);
    let hash = |args: &[&str]| json(&[&["sample"], args].concat())["sha256"].clone();
    let drawn = ["--seed", "0..3"];
    let here = hash(&[&[text(&pack)], &drawn[..]].concat());
    assert_eq!(hash(&[&["--port", &board.port], &drawn[..]].concat()), here);
    // Seeds of NumPy travel as numbers.
    let numpy = ["--numpy-seeds", "--seed", "0..3"];
    let here_too = hash(&[&[text(&pack)], &numpy[..]].concat());
    assert_eq!(hash(&[&["--port", &board.port], &numpy[..]].concat()), here_too);
    assert_ne!(here, here_too);
    // And so does w for every layer.
    let w = fixture("cases/latent-files/projected_w.npz");
    let w = ["--latents", text(&w)];
    let here = hash(&[&[text(&pack)], &w[..]].concat());
    assert_eq!(hash(&[&["--port", &board.port], &w[..]].concat()), here);
}

#[test]
fn teachers_with_other_critics_are_compressed() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["cifar-critic/model.pkl", "legacy-group-none/model.pkl", "grey/grey.pkl"] {
        let teacher = fixture("cases").join(case);
        let own = folder.path().join(case.split('/').next().unwrap());
        fs::create_dir(&own).unwrap();
        let images = images_of(&teacher, &own, "0..7");
        json(&shortest(&teacher, &images, &own.join("run")));
        // The critic's features tell a model's images from themselves by nothing.
        let features = format!("critic={}", text(&teacher));
        let args = ["eval", text(&images), text(&images), "--fid", "--few-samples", "--features", &features];
        assert!(json(&args)["fid"].as_f64().unwrap().abs() < 1e-3, "{case}");
    }
}

#[test]
fn a_grey_teacher_can_be_trained_from_images_in_colour() {
    let folder = tempfile::tempdir().unwrap();
    let images = images_of(&fixture("cases/numpy-seeds/model.pkl"), folder.path(), "0..7");
    let run_folder = folder.path().join("run");
    let mut args = vec!["train", "--data", text(&images), "-o", text(&run_folder), "--grey"];
    args.extend(["--channel-base", "64", "--channel-max", "8", "--z-dim", "8", "--w-dim", "8"]);
    args.extend(["--batch", "4", "--kimg", "0.008"]);
    json(&args);
    let raw = folder.path().join("raw.safetensors");
    json(&["sample", text(&run_folder), "--seed", "0", "--raw", text(&raw)]);
    let (tensors, _) = nickeldime_checkpoint::read_tensors(&raw).unwrap();
    assert_eq!(tensors["images"].shape(), [1, 1, 16, 16]);
    // The run goes on with what it began with.
    json(&["train", "--resume", "-o", text(&run_folder)]);
}

/// A training of small networks on 16x16 images.
fn small_training<'a>(data: &'a Path, output: &'a Path, kimg: &'a str) -> Vec<&'a str> {
    let sizes = ["--channel-base", "64", "--channel-max", "8", "--z-dim", "8", "--w-dim", "8", "--batch", "4"];
    [&["train", "--data", text(data), "-o", text(output), "--kimg", kimg], &sizes[..]].concat()
}

#[test]
fn a_run_can_be_made_longer_and_is_the_run_that_was_long_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let images = images_of(&fixture("cases/numpy-seeds/model.pkl"), folder.path(), "0..7");
    let (short, long, copy) = (at("short"), at("long"), at("copy"));
    json(&small_training(&images, &short, "0.016"));
    json(&small_training(&images, &long, "0.032"));
    // A copy without its pictures goes on too.
    fs::create_dir(&copy).unwrap();
    for name in ["run.json", "state", "log.jsonl", "student.safetensors"] {
        fs::copy(short.join(name), copy.join(name)).unwrap();
    }
    let longer = |run: &Path, kimg| json(&["train", "--resume", "-o", text(run), "--kimg", kimg]);
    assert_eq!(longer(&short, "0.032")["kimg"], 0.032);
    assert_eq!(longer(&copy, "0.032")["kimg"], 0.032);
    for run in [&short, &copy] {
        assert_eq!(student(run), student(&long));
        assert!(run.join("students/000000032.safetensors").is_file() && run.join("grids/000000032.png").is_file());
    }
    let record: Value = serde_json::from_slice(&fs::read(short.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["settings"]["kimg"], 0.032);
    // It cannot be made shorter, and nothing else can be changed.
    let refused = |more: &[&str]| error(&[&["train", "--resume", "-o", text(&short)], more].concat());
    assert!(refused(&["--kimg", "0.016"]).contains("--kimg 0.016"));
    assert!(refused(&["--kimg", "0.064", "--batch", "8"]).contains("keeps its settings"));

    // A compression, whose sparse stage is over.
    let run = at("gs");
    let teacher = fixture("cases/numpy-seeds/model.pkl");
    json(&with(shortest(&teacher, &images, &run), &[("--method", "gs"), ("--kimg", "0.008")]));
    let longer = json(&["compress", "--resume", "-o", text(&run), "--kimg", "0.016"]);
    assert_eq!((longer["kimg"].as_f64(), longer["finished"].as_bool()), (Some(0.016), Some(true)));
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["settings"]["sparse-kimg"], 0.002);
}

#[test]
fn a_checkpoint_is_fine_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let from = fixture("cases/rosinality/800000.pt");
    let images = images_of(&from, folder.path(), "0..7");
    let tuned = at("tuned");
    let tune = |from: &Path, output: &Path, kimg: &str| {
        let args = ["train", "--data", text(&images), "--from", text(from), "-o", text(output), "--kimg", kimg];
        json(&[&args[..], &["--batch", "4"]].concat())
    };
    // Nothing learned yet: the images are the checkpoint's.
    tune(&from, &tuned, "0");
    let hash = |model: &Path| json(&["sample", text(model), "--seed", "0..3"])["sha256"].clone();
    assert_eq!(hash(&tuned), hash(&from));
    json(&["train", "--resume", "-o", text(&tuned), "--kimg", "0.008"]);
    assert_ne!(hash(&tuned), hash(&from));
    // And from a run, which is a model like any other.
    tune(&tuned, &at("again"), "0");
    assert_eq!(hash(&at("again")), hash(&tuned));
    let page = at("page.html");
    json(&["report", text(&tuned), "-o", text(&page)]);
    assert!(fs::read_to_string(&page).unwrap().contains("fine-tuned"));
    // A run that was stopped before its first snapshot begins again at the checkpoint.
    fs::remove_file(at("again").join("state")).unwrap();
    json(&["train", "--resume", "-o", text(&at("again"))]);
    assert_eq!(hash(&at("again")), hash(&tuned));
    // Without a critic, with another size, and with shapes beside those of the checkpoint.
    let none = at("none");
    let refused = |from: &Path, more: &[&str]| {
        let args = ["train", "--data", text(&images), "--from", text(from), "-o", text(&none)];
        run(&[&args[..], more].concat())
    };
    let (code, _, said) = refused(&fixture("cases/foreign-critic/model.pkl"), &["--batch", "4"]);
    assert!(code == 1 && said.contains("discriminator was not read"), "{said}");
    let (code, _, said) = refused(&fixture("digits32/teacher-digits32.pkl"), &["--batch", "4"]);
    assert!(code == 1 && said.contains("--resize 32"), "{said}");
    assert_eq!(refused(&from, &["--z-dim", "8"]).0, 2);
    assert!(!none.exists());
}

#[test]
fn every_command_that_takes_a_model_takes_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let images = images_of(&fixture("cases/numpy-seeds/model.pkl"), folder.path(), "0..7");
    let teacher = at("teacher-0.9");
    json(&small_training(&images, &teacher, "0.004"));
    json(&shortest(&teacher, &images, &at("student")));
    json(&["compress", "--resume", "-o", text(&at("student"))]);
    let (moments, imported) = (at("moments.safetensors"), at("imported.safetensors"));
    let embedder = at("embedder.safetensors");
    json(&["embedder", "train", "--data", text(&images), "--kimg", "0.008", "--batch", "4", "-o", text(&embedder)]);
    let small = format!("small={}", text(&embedder));
    json(&["moments", "--teacher", text(&teacher), "--embed", &small, "--samples", "4", "-o", text(&moments)]);
    assert_eq!(json(&["import", text(&teacher), "-o", text(&imported)])["discriminator"], true);
    let critic = format!("critic={}", text(&teacher));
    json(&["eval", text(&images), text(&images), "--fid", "--few-samples", "--features", &critic]);
    let page = at("page.html");
    json(&["report", text(&at("student")), "--teacher", text(&teacher), "-o", text(&page)]);
    json(&["new", "--channels", "5,4", "--w-dim", "7", "--like", text(&teacher), "-o", text(&at("new.safetensors"))]);
    let pack = at("m.ndm");
    json(&["pack", text(&teacher), "-o", text(&pack)]);
    assert_eq!(json(&["inspect", text(&pack)])["name"], "teacher-0.9");
    let said = error(&["moments", "--teacher", text(&images), "--embed", &small, "-o", text(&moments)]);
    assert!(said.contains("without a run's student"), "{said}");
}

/// A board in a process of its own, which ends with it.
struct Emulated {
    process: Child,
    port: String,
}

impl Emulated {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nickeldime"));
        let mut process =
            command.args(["emulate", "--board", "host", "--json"]).stdout(Stdio::piped()).spawn().expect("a board");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("one JSON object");
        Self { process, port: said["port"].as_str().expect("a path").to_owned() }
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
