//! The command line: a few options, and what `--help` says.

use std::{net::SocketAddr, path::PathBuf};

pub(crate) const HELP: &str = "\
One endpoint in front of many API keys.

  gateway                      try it: a fake provider with small limits, in this process
  gateway --config keys.toml   real providers; see examples/gateway/keys.toml
  OPENAI_API_KEYS=k1,k2 gateway    the same without a file; also ANTHROPIC_API_KEYS and GEMINI_API_KEYS

  --classify PROVIDER STATUS ['name: value' ...] [BODY]
                  what would be made of such a refusal: about what, how well it is proven, and by which rule; with
                  --config the name of a pool may stand for the provider, and its own rules count. BODY is a file,
                  or - for standard input
  --listen ADDR   where to listen, 127.0.0.1:8080 if nothing else is said; port 0 takes any free port
  --help          this text

The file is read again when it changes, and on SIGHUP; a bad one changes nothing.

Without a file, the environment also gives
  PORT                  the port to listen on (it goes before the file's, too)
  GATEWAY_TOKENS        t1,t2: who may call; needed when others than this machine can reach the address
  GATEWAY_ADMIN_TOKEN   who may read /-/status and /-/usage, and POST /-/keys/POOL/KEY/disable, enable or revive
";

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) help: bool,
    /// All that follows `--classify`.
    pub(crate) classify: Option<Vec<String>>,
}

impl Args {
    /// Reads the arguments that follow the program's name.
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
            let mut value =
                || value.clone().or_else(|| args.next()).ok_or(format!("{name} needs a value"));
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
    fn mistakes_are_named() {
        assert!(read(&["--conf", "x"]).unwrap_err().contains("--conf is not an option"));
        assert!(read(&["--config"]).unwrap_err().contains("--config needs a value"));
        assert!(read(&["--listen", "8080"]).unwrap_err().contains("\"8080\""));
    }
}
