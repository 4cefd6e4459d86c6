//! What the example says is what it is meant to show.

#[path = "../examples/supervised_pool.rs"]
mod supervised_pool;

#[test]
fn a_program_has_a_supervised_pool() {
    let mut said = Vec::new();
    supervised_pool::run(&mut said).expect("processes can be made");
    let said = String::from_utf8(said).expect("text");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "1000 tasks: the digits of 999 make 27, all of them 13500",
            "1000 was lost by signal 9 (SIGKILL); the 100 after it were done",
            "1101 lost its worker too, was run again, and makes 3",
            "resized: 4",
            "resized: 1",
            "closed: 1201 done, 1 lost; 6 workers began, 6 ended",
            "50 tasks to a worker: 200 done by 4",
        ]
    );
}
