use super::{MESSAGE_CHARS_MAX, ProgressReader, Reading};
use proptest::prelude::*;

/// The reader after all of `output`, whose last line is not finished.
fn after(output: &str) -> ProgressReader {
    let mut reader = ProgressReader::new();
    reader.push(output.as_bytes());
    reader
}

/// The reading of a whole line by itself.
fn of_line(line: &str) -> Option<Reading> {
    let mut reader = ProgressReader::new();
    reader.push(line.as_bytes());
    reader.finish();
    reader.reading()
}

fn counted(done: u64, total: u64) -> Option<Reading> {
    Some(Reading {
        fraction: done as f64 / total as f64,
        done: Some(done),
        total: Some(total),
    })
}

fn percent(percent: f64) -> Option<Reading> {
    Some(Reading {
        fraction: percent / 100.0,
        done: None,
        total: None,
    })
}

#[test]
fn percentages_are_read() {
    for (line, expected) in [
        ("37%", 37.0),
        (" 37.5 %", 37.5),
        ("37,5 % erledigt", 37.5),
        ("[ 37%] Building CXX object a/b/c.o", 37.0),
        ("######################     37.5%", 37.5),
        ("Reading package lists...37%", 37.0),
        ("=====>37%", 37.0),
        (
            "dump.tar   37%[====>      ]   1.20M  3.40MB/s    eta 8s",
            37.0,
        ),
        (
            "  1,234,567  37%    1.20MB/s    0:00:12 (xfr#1, to-chk=12/340)",
            37.0,
        ),
        (
            "[#2089b0 400.0KiB/33.2MiB(1%) CN:1 DL:115.7KiB ETA:4m51s]",
            1.0,
        ),
        ("progress:100%", 100.0),
        ("  0%", 0.0),
    ] {
        let reading = of_line(line).unwrap_or_else(|| panic!("nothing read from {line:?}"));
        assert_eq!(reading.fraction, expected / 100.0, "{line:?}");
    }
}

#[test]
fn counts_are_read() {
    for (line, done, total) in [
        ("12/340", 12, 340),
        ("[ 3/10]", 3, 10),
        ("[3/10] Building CXX object src/a/b.o", 3, 10),
        ("[3/10 files] copying", 3, 10),
        ("(12 of 340)", 12, 340),
        ("copied 12 of 340 files", 12, 340),
        ("copied 12 out of 340 files", 12, 340),
        ("Step 4/12 : RUN make", 4, 12),
        ("Epoch 3/10", 3, 10),
        (
            "    Building [=====>           ] 37/340: serde, tokio",
            37,
            340,
        ),
        ("#7 [2/7] RUN apt-get update", 2, 7),
        ("[+] Building 3.2s (4/12)", 4, 12),
        ("1,234/5,678 rows", 1234, 5678),
        ("[001/340]", 1, 340),
        ("0/340", 0, 340),
        ("1/1", 1, 1),
        (
            "━━━━━━ 1.2/3.4 MB 5.0 MB/s eta 0:00:01",
            1_200_000,
            3_400_000,
        ),
        (
            "f1a2: Downloading [==>   ]  1.2MB/34MB",
            1_200_000,
            34_000_000,
        ),
        ("512 KiB / 2 MiB", 524_288, 2_097_152),
        ("done 7/7.", 7, 7),
    ] {
        assert_eq!(of_line(line), counted(done, total), "{line:?}");
    }
}

#[test]
fn a_percentage_and_a_count_that_agree_are_joined() {
    let bar = " 37%|███▋      | 37/100 [00:01<00:02, 30.00it/s]";
    assert_eq!(of_line(bar), counted(37, 100));
    let git = "Receiving objects:  33% (113/340), 1.20 MiB | 2.40 MiB/s";
    assert_eq!(of_line(git), counted(113, 340));
    assert_eq!(of_line("[3/10] fetching: 80%"), percent(80.0));
    let bytes = of_line("35% 1.2MB/3.4MB").unwrap();
    assert_eq!((bytes.fraction, bytes.total), (0.35, Some(3_400_000)));
}

#[test]
fn the_transfer_table_of_curl_is_read() {
    let line = " 37 10.0M   37 3808k    0     0  1203k      0  0:00:08  0:00:03  0:00:05 1203k";
    assert_eq!(of_line(line), percent(37.0));
    let unknown = "  0     0    0  3808k    0     0  1203k      0 --:--:--  0:00:03 --:--:-- 1203k";
    assert_eq!(of_line(unknown), None);
    let header = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current";
    assert_eq!(of_line(header), None);
}

#[test]
fn what_only_looks_like_progress_is_not_read() {
    for line in [
        "2026/11/21 10:05:33 started",
        "11/21 10:05:33 INFO started",
        "[11/21 10:05:33] started",
        "03/15",
        "1/2/3",
        "a/b",
        "src/1/2",
        "1/2/file",
        "./3/10",
        "10.0.0.0/8",
        "192.168.1.12/24",
        "http://host:80/443",
        "HTTP/1.1 200 OK",
        "v1/2",
        "release 1.2.3/4",
        "24/7",
        "3/0",
        "0/0",
        "load 0.50/1.25",
        "rated 4.5/5",
        "link at 10/100 MB/s",
        "to-chk=12/340",
        "page%20one",
        "a%2Fb 10%20",
        "printf 100%d",
        "2024%",
        "101%",
        "-5%",
        "x37%",
        "version 1.2.37%",
        "12/34:56",
        "1 of the 3",
        "%",
        "/",
        "1/",
        "/2",
        "of",
        "1 of ",
    ] {
        assert_eq!(of_line(line), None, "{line:?}");
    }
}

#[test]
fn the_newest_line_wins_even_when_it_falls_back() {
    assert_eq!(after("10%\n20%\nnothing\n").reading(), percent(20.0));
    assert_eq!(
        after("step one 100%\nstep two 0%\n").reading(),
        percent(0.0)
    );
    assert_eq!(after("\r 1%\r 2%\r 3%").reading(), percent(3.0));
}

#[test]
fn a_stray_count_does_not_throw_a_bar_back() {
    assert_eq!(after("[5/10] a\nretry 1/3\n").reading(), counted(5, 10));
    assert_eq!(after("37%\nretry 1/3 \n").reading(), percent(37.0));
    assert_eq!(after("[5/10] a\n6/10\n").reading(), counted(6, 10));
    assert_eq!(after("fetched 100%\n1/3\n").reading(), counted(1, 3));
}

#[test]
fn a_number_that_may_still_grow_is_not_read() {
    let mut reader = after("\r12/34");
    assert_eq!(reader.reading(), None);
    assert_eq!(reader.push(b"0"), None);
    assert_eq!(reader.push(b" "), counted(12, 340));
    let mut reader = after("\r340/340");
    assert_eq!(reader.reading(), None);
    assert_eq!(reader.finish(), counted(340, 340));
}

#[test]
fn push_returns_a_reading_only_when_it_is_another() {
    let mut reader = ProgressReader::new();
    assert_eq!(reader.push(b"10%\n"), percent(10.0));
    assert_eq!(reader.push(b"10%\nmore\n"), None);
    assert_eq!(reader.push(b"11%"), percent(11.0));
}

#[test]
fn escape_sequences_are_taken_out() {
    let coloured = "\x1b[1;32m[\x1b[0m\x1b[32m3\x1b[0m/\x1b]0;title 99%\x07\x1b(B10\x1b[m] ok";
    assert_eq!(after(coloured).reading(), counted(3, 10));
    assert_eq!(after(coloured).last_line().as_deref(), Some("[3/10] ok"));
    let link = "\x1b]8;;http://h/50%\x1b\\file\x1b]8;;\x1b\\ 7%";
    assert_eq!(after(link).last_line().as_deref(), Some("file 7%"));
}

#[test]
fn redrawn_lines_and_backspaces_show_what_a_person_sees() {
    let redrawn = "one 1%\x1b[K\ntwo 2%\x1b[1A\x1b[2K\rone 5%";
    assert_eq!(after(redrawn).reading(), percent(5.0));
    assert_eq!(
        after(" 1%\x08\x08\x08 2%").last_line().as_deref(),
        Some("2%")
    );
    assert_eq!(after("é 1%\x1b[4D2%").last_line().as_deref(), Some("2%"));
}

#[test]
fn a_full_screen_program_leaves_no_lines() {
    let reader = after("before 5%\n\x1b[?1049h\x1b[2J\x1b[HCPU 99%\n\x1b[?1049l");
    assert_eq!(reader.reading(), percent(5.0));
    assert_eq!(reader.last_line().as_deref(), Some("before 5%"));
}

#[test]
fn an_unterminated_title_swallows_no_later_line() {
    assert_eq!(after("\x1b]0;title\n42%\n").reading(), percent(42.0));
}

#[test]
fn the_last_line_is_bounded_and_skips_blanks() {
    assert_eq!(after("").last_line(), None);
    assert_eq!(after(" \r\n\n").last_line(), None);
    assert_eq!(
        after("word \r\n  \r\n").last_line().as_deref(),
        Some("word")
    );
    assert_eq!(
        after("a\nPassword: ").last_line().as_deref(),
        Some("Password:")
    );
    let exact = "é".repeat(MESSAGE_CHARS_MAX);
    assert_eq!(after(&exact).last_line(), Some(exact.clone()));
    let long = after(&"é".repeat(100_000)).last_line().unwrap();
    assert_eq!(long.chars().count(), MESSAGE_CHARS_MAX);
    assert!(long.ends_with('…'));
}

#[test]
fn memory_stays_bounded_without_a_line_end() {
    let mut reader = ProgressReader::new();
    for _ in 0..2_000 {
        reader.push(&[b'x'; 8192]);
        reader.push(b"\x1b]0;\x1b[1;2;3");
    }
    assert!(reader.screen.line().len() <= 4096);
    assert!(reader.last_line.capacity() <= 8192);
}

/// Output with much of what matters: figures, controls, escape sequences, multi-byte characters.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        (0u32..120).prop_map(|n| format!("{n}%").into_bytes()),
        (0u32..50, 0u32..50).prop_map(|(x, y)| format!("[{x}/{y}]").into_bytes()),
        (0u32..50, 0u32..50).prop_map(|(x, y)| format!(" {x}/{y} ").into_bytes()),
        (0u32..50, 0u32..50).prop_map(|(x, y)| format!("{x} of {y}MB").into_bytes()),
        prop::sample::select(vec![
            "\r",
            "\n",
            "\r\n",
            "\x08",
            "\t",
            "\x1b",
            "\x1b[",
            "\x1b[2K",
            "\x1b[1A",
            "\x1b[31m",
            "\x1b[3D",
            "\x1b]0;t\x07",
            "\x1b]8;;\x1b\\",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "é",
            "█",
            "word",
            " ",
            ".",
            ",",
            "/",
            "%",
            "step ",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn how_output_is_cut_into_pieces_makes_no_difference(
        output in output(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut whole = ProgressReader::new();
        whole.push(&output);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(output.len() + 1)).collect();
        cuts.extend([0, output.len()]);
        cuts.sort_unstable();
        let mut pieces = ProgressReader::new();
        for pair in cuts.windows(2) {
            pieces.push(&output[pair[0]..pair[1]]);
        }
        prop_assert_eq!(pieces.reading(), whole.reading());
        prop_assert_eq!(pieces.last_line(), whole.last_line());
        pieces.finish();
        whole.finish();
        prop_assert_eq!(pieces.reading(), whole.reading());
        prop_assert_eq!(pieces.last_line(), whole.last_line());
    }

    #[test]
    fn any_bytes_give_a_sane_reading(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut reader = ProgressReader::new();
        reader.push(&bytes);
        reader.finish();
        if let Some(reading) = reader.reading() {
            prop_assert!((0.0..=1.0).contains(&reading.fraction));
            prop_assert!(reading.done <= reading.total);
        }
        if let Some(line) = reader.last_line() {
            prop_assert!(line.chars().count() <= MESSAGE_CHARS_MAX);
            prop_assert!(!line.contains(char::is_control));
        }
    }

    #[test]
    fn every_printed_step_of_a_bar_is_read(total in 1u64..100_000, part in 0.0..=1.0f64) {
        let done = (total as f64 * part) as u64;
        prop_assert_eq!(of_line(&format!("[{done:>6}/{total}] x")), counted(done, total));
        let percent = done * 100 / total;
        let bar = format!("{percent:>3}%|████| {done}/{total} [00:01<00:02, 3.1it/s]");
        prop_assert_eq!(of_line(&bar), counted(done, total));
    }
}
