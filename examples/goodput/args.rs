//! The command line.

const HELP: &str = "goodput [--short] [--seed N] [--only TEXT]

--short   a few rows, in seconds
--seed    where randomness starts from; 7 by default
--only    the rows whose name contains the text, such as \"fixed\" or \"10 x 60\"";

pub(crate) struct Args {
    pub(crate) short: bool,
    pub(crate) seed: u64,
    pub(crate) only: String,
}

impl Args {
    /// Reads the arguments. The error is a text for the user.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self { short: false, seed: 7, only: String::new() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--short" => read.short = true,
                "--seed" => {
                    let seed = args.next().and_then(|seed| seed.parse().ok());
                    read.seed = seed.ok_or("--seed needs a number")?;
                }
                "--only" => read.only = args.next().ok_or("--only needs a text")?,
                "--help" | "-h" => return Err(HELP.to_owned()),
                other => return Err(format!("the argument {other} is unknown\n\n{HELP}")),
            }
        }
        Ok(read)
    }
}
