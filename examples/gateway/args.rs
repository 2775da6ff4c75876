//! The command line: a few options, and what `--help` says.

use std::{net::SocketAddr, path::PathBuf};

pub(crate) const HELP: &str = "\
One endpoint in front of many API keys.

  gateway                      a sandbox to try: a simulated provider with small limits, in this process
  gateway --config keys.toml   real providers; see examples/gateway/keys.toml
  OPENAI_API_KEYS=k1,k2 gateway    the same without a file; also ANTHROPIC_API_KEYS and GEMINI_API_KEYS

  --classify PROVIDER STATUS ['name: value' ...] [BODY]
                  how the gateway reads such a refusal: the verdict, the place, how well it is proven, and the
                  rule. With --config, PROVIDER may be the name of a pool, and its own rules count. BODY is a file,
                  or - for standard input
  --listen ADDR   the address to listen on, 127.0.0.1:8080 by default; port 0 takes any free port
  --help          this text

The file is read again when it changes, and on SIGHUP. An invalid file changes nothing.

Without a file, these environment variables are used too:
  PORT                  the port to listen on (it also takes precedence over that of a file)
  GATEWAY_TOKENS        t1,t2: tokens of callers; required if other machines can reach the address
  GATEWAY_ADMIN_TOKEN   the token for /-/status, /-/usage and POST /-/keys/POOL/KEY/disable, enable or revive
";

/// The parsed command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) help: bool,
    /// All arguments after `--classify`.
    pub(crate) classify: Option<Vec<String>>,
}

impl Args {
    /// Reads the arguments after the name of the program.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--classify" {
                read.classify = Some(args.by_ref().collect());
                continue;
            }
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let mut value = || {
                value
                    .clone()
                    .or_else(|| args.next())
                    .ok_or(format!("{name} needs a value; see --help"))
            };
            match name {
                "--config" => read.config = Some(PathBuf::from(value()?)),
                "--listen" => read.listen = Some(address(&value()?)?),
                "--help" | "-h" => read.help = true,
                _ => return Err(format!("{name} is not an option; see --help")),
            }
        }
        Ok(read)
    }
}

/// An address to listen on, such as `127.0.0.1:8080`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address and port, such as 127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Args, String> {
        Args::read(args.iter().map(ToString::to_string))
    }

    #[test]
    fn both_spellings_of_an_option_are_read() {
        let apart = read(&["--config", "keys.toml", "--listen", "[::1]:0"]).unwrap();
        let joined = read(&["--config=keys.toml", "--listen=[::1]:0"]).unwrap();
        assert_eq!(apart, joined);
        assert_eq!(apart.config, Some(PathBuf::from("keys.toml")));
        assert_eq!(apart.listen, Some("[::1]:0".parse().unwrap()));
    }

    #[test]
    fn a_wrong_option_is_named() {
        assert!(read(&["--conf", "x"]).unwrap_err().contains("--conf is not an option"));
        assert!(read(&["--config"]).unwrap_err().contains("--config needs a value"));
        assert!(read(&["--listen", "8080"]).unwrap_err().contains("\"8080\""));
    }
}
