mod rules;

use std::{fs, path::Path, time::Duration};

use super::{
    super::args::Args, Admission, Config, Dialect, Kinship, Listen, Problems, Served, Strategy,
    Streams, Surroundings, file,
};

const SAMPLE: &str = include_str!("../keys.toml");

fn env(name: &str) -> Option<String> {
    let known = ["GATEWAY_TOKEN", "GATEWAY_ADMIN_TOKEN", "TEAM_A_TOKEN", "ANTHROPIC_KEY"];
    (known.contains(&name) || name.starts_with("OPENAI_KEY")).then(|| format!("canary-{name}"))
}

fn read(text: &str) -> Result<Config, Problems> {
    let around = Surroundings { env: &env, folder: Path::new(".") };
    file::read("keys.toml".to_owned(), text, Listen::default(), &around)
}

fn problems(text: &str) -> Vec<String> {
    read(text).unwrap_err().0
}

/// A valid file with one line replaced.
fn one_pool(from: &str, to: &str) -> String {
    let good = r#"[[pool]]
name = "a"
provider = "openai"
[[pool.account]]
name = "org"
keys = [{ id = "k", secret = "canary-secret" }]
"#;
    assert!(good.contains(from));
    good.replace(from, to)
}

#[test]
fn the_sample_is_read() {
    let config = read(SAMPLE).unwrap();
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.client_tokens.len(), 1);
    assert!(config.admin_token.is_some());
    let [openai, anthropic] = &config.pools[..] else { panic!("two pools") };
    assert_eq!((openai.name.as_str(), openai.dialect), ("openai", Dialect::OpenAi));
    assert_eq!(openai.base.origin(), "https://api.openai.com");
    assert_eq!(openai.models, ["gpt-*", "o*"]);
    assert_eq!((openai.max_wait, openai.queue), (Duration::from_secs(30), 1_000));
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let streams = Streams { hold_back: seconds(2), first_token: seconds(60), idle: seconds(90) };
    assert_eq!((openai.streams, anthropic.streams), (streams, Streams::default()));
    let admission = Admission {
        strategy: Some(Strategy::Headroom),
        learn: Some(true),
        start: Some(16),
        shadow: false,
        refuse_unpriced: false,
        affinity: Some(Kinship::Prompts),
        patience: seconds(2),
    };
    assert_eq!((openai.admission, anthropic.admission), (admission, Admission::default()));
    let [team] = &config.tenants[..] else { panic!("one tenant") };
    assert_eq!((team.name.as_str(), team.weight, team.tokens.len()), ("team-a", 3, 1));
    assert_eq!(openai.accounts.len(), 2);
    assert_eq!(anthropic.base.origin(), "https://api.anthropic.com");
    let shown = format!("{config:?}");
    for part in ["org-a", "a1", "a2", "gpt-4o*", "20000", "1000"] {
        assert!(shown.contains(part), "{part} is lost");
    }
    assert!(!shown.contains("canary"));
}

#[test]
fn all_problems_are_reported_at_once_with_their_lines() {
    let text = r#"listen = "localhost"
client_tokens = "canary-one"
colour = "red"
[[pool]]
name = "openai"
provider = "openapi"
base_url = "http://api.openai.com"
max_wait = "soon"
queue = -1
idle = 90
models = ["gpt-*", ""]
[[pool.account]]
name = "org-a"
limits = ["500 requests/min", "5 apples/min", { limit = "0 requests/min", model = "gpt" }]
keys = [
  { id = "a1", secret = "env:MISSING" },
  { id = "a1", secret = "" },
  { id = "a3", secret = "file:/nowhere/at/all" },
  { secret = "canary two", weight = 0, limits = ["5 pears/min"] },
  "file:/dev/null",
]
[[pool.account]]
name = "org-a"
[[pool]]
name = "v1"
provider = "generic"
account = []
[[pool]]
provider = "gemini"
"#;
    let expected = [
        "keys.toml:1: listen: \"localhost\" is not an address",
        "keys.toml:2: client_tokens: must be a list",
        "keys.toml:3: colour is not a field here",
        "keys.toml:6: pool \"openai\": provider: \"openapi\" is none of openai, anthropic",
        "keys.toml:7: pool \"openai\": base_url: plain http",
        "keys.toml:8: pool \"openai\": max_wait: \"soon\" is not a time",
        "keys.toml:9: pool \"openai\": queue: must be a whole number from 0",
        "keys.toml:10: pool \"openai\": idle: must be text in quotes, not a number",
        "keys.toml:11: pool \"openai\": models 2: a pattern is empty",
        "keys.toml:14: pool \"openai\": account \"org-a\": limit \"5 apples/min\": \"apples\" is none of",
        "keys.toml:14: pool \"openai\": account \"org-a\": limit \"0 requests/min\": the amount is 0",
        "keys.toml:14: pool \"openai\": account \"org-a\": model is not a field here; the fields are limit, models",
        "keys.toml:16: pool \"openai\": account \"org-a\": keys \"a1\": secret: environment variable MISSING is not set",
        "keys.toml:17: pool \"openai\": account \"org-a\": keys 2: id: \"a1\" is used",
        "keys.toml:17: pool \"openai\": account \"org-a\": keys 2: secret: the secret is empty",
        "keys.toml:18: pool \"openai\": account \"org-a\": keys \"a3\": secret: cannot read file /nowhere/at/all",
        "keys.toml:19: pool \"openai\": account \"org-a\": keys 4: secret: the secret contains a space",
        "keys.toml:19: pool \"openai\": account \"org-a\": keys 4: weight: must be a whole number from 1",
        "keys.toml:19: pool \"openai\": account \"org-a\": keys 4: limit \"5 pears/min\"",
        "keys.toml:20: pool \"openai\": account \"org-a\": keys 5: file /dev/null is empty",
        "keys.toml:22: pool \"openai\": account 2: keys is missing",
        "keys.toml:23: pool \"openai\": account 2: name: \"org-a\" is used",
        "keys.toml:25: pool 2: name: \"v1\" is a path of the gateway",
        "keys.toml:24: pool 2: base_url is missing",
        "keys.toml:24: pool 2: account is empty",
        "keys.toml:28: pool 3: name is missing",
        "keys.toml:28: pool 3: account is missing",
    ];
    let found = problems(text);
    for expected in expected {
        assert!(found.iter().any(|p| p.starts_with(expected)), "no {expected:?} in\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().all(|problem| !problem.contains("canary")), "{found:#?}");
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(problems(""), ["keys.toml:1: pool is missing"]);
}

/// A file that is cut, or has a line doubled or replaced, never shows its secrets in an error.
#[test]
fn no_mistake_in_a_file_shows_a_secret() {
    let good = one_pool("canary-secret", "canarysecret");
    let mut refused = 0;
    for at in 0..good.len() {
        let (head, tail) = good.split_at(at);
        let slips = ["\"", "\n", "=", "[", "}", "'", "#", " ", "\\", "\u{7f}"]
            .map(|slip| format!("{head}{slip}{tail}"));
        let cuts = [format!("{head}{}", &tail[1..]), head.to_owned(), tail.to_owned()];
        for text in slips.iter().chain(&cuts) {
            if let Err(Problems(problems)) = read(text) {
                refused += 1;
                let shown = problems.join("\n");
                assert!(!shown.contains("anarysecre"), "{text}\ngives\n{shown}");
                assert!(
                    problems.iter().all(|problem| problem.starts_with("keys.toml:")),
                    "{shown}"
                );
            }
        }
    }
    assert!(refused > 1_000, "only {refused} of the mistakes were refused");
}

#[test]
fn syntax_errors_name_the_line_and_the_column() {
    let found = problems("listen = \"127.0.0.1:1\"\nadmin_token = canary\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("keys.toml:2: column 15: "), "{found:?}");
}

#[test]
fn base_urls_are_checked() {
    for (url, problem) in [
        ("https://user:canary@api.example.com", "user name or password"),
        ("http://10.0.0.1:8080", "plain http"),
        ("api.example.com", "needs a scheme"),
        ("ftp://api.example.com", "must begin with https://"),
        ("https://api.example.com?x=1", "must not have a query"),
        ("https://api.openai.com/v1/", "leave out the /v1"),
        ("http:// canary", "is not a URL"),
    ] {
        let text = one_pool(
            "provider = \"openai\"",
            &format!("provider = \"openai\"\nbase_url = {url:?}"),
        );
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        assert!(found[0].contains(problem) && !found[0].contains("canary"), "{url}: {found:?}");
    }
    for url in
        ["http://localhost:1", "http://127.0.0.2", "http://[::1]:9", "https://x.example/api/"]
    {
        let text = one_pool(
            "provider = \"openai\"",
            &format!("provider = \"openai\"\nbase_url = {url:?}"),
        );
        let base = &read(&text).unwrap().pools[0].base;
        assert_eq!(base.origin(), url.trim_end_matches("/api/"));
    }
}

#[test]
fn only_the_last_line_break_of_a_secret_file_is_removed() {
    let folder = std::env::temp_dir().join(format!("gateway-secret-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("good"), "canary-file\r\n").unwrap();
    fs::write(folder.join("two-lines"), "canary\nfile\n").unwrap();
    let around = Surroundings { env: &env, folder: &folder };
    let with = |name: &str| {
        let text = one_pool("canary-secret", &format!("file:{name}"));
        file::read("keys.toml".to_owned(), &text, Listen::default(), &around)
    };
    assert!(with("good").is_ok());
    let Problems(found) = with("two-lines").unwrap_err();
    assert!(found[0].contains("a line break") && !found[0].contains("canary"), "{found:?}");
    fs::remove_dir_all(folder).unwrap();
}

fn load(args: &[&str], env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let args = Args::read(args.iter().map(ToString::to_string)).unwrap();
    Config::load(&args, &Surroundings { env, folder: Path::new(".") })
}

#[test]
fn keys_in_the_environment_are_accounts_of_their_own() {
    let config = load(&[], &|name| {
        Some(match name {
            "OPENAI_API_KEYS" => "canary-1, canary-2,".to_owned(),
            "GEMINI_API_KEYS" => "canary-3".to_owned(),
            "PORT" => "0".to_owned(),
            _ => return None,
        })
    });
    let config = config.unwrap();
    assert_eq!(config.listen, "127.0.0.1:0".parse().unwrap());
    let pools: Vec<_> =
        config.pools.iter().map(|pool| (pool.name.as_str(), pool.accounts.len())).collect();
    assert_eq!(pools, [("openai", 2), ("gemini", 1)]);
    assert!(!format!("{config:?}").contains("canary"));
    assert!(load(&[], &|_| None).unwrap().pools.is_empty(), "the sandbox is served");
}

#[test]
fn only_loopback_may_be_served_without_client_tokens() {
    let open = load(&["--listen", "0.0.0.0:80"], &|_| None).unwrap_err();
    assert!(open.to_string().contains("GATEWAY_TOKENS"), "{open}");
    let tokens = |name: &str| (name == "GATEWAY_TOKENS").then(|| "t1,t2".to_owned());
    assert_eq!(load(&["--listen", "0.0.0.0:80"], &tokens).unwrap().client_tokens.len(), 2);
    let both = problems("listen = \"0.0.0.0:80\"\ncolour = 1\n");
    assert!(both.iter().any(|problem| problem.contains("set client_tokens")), "{both:?}");
    assert!(both.iter().any(|problem| problem.contains("colour")), "not all at once: {both:?}");
    let bad = |name: &str| (name == "GATEWAY_TOKENS").then(|| "t1,canary two".to_owned());
    let bad = load(&[], &bad).unwrap_err().to_string();
    assert!(bad.contains("GATEWAY_TOKENS, number 2") && !bad.contains("canary"), "{bad}");
}

#[test]
fn tenants_and_admission_are_checked() {
    let pool =
        |more: &str| one_pool("provider = \"openai\"", &format!("provider = \"openai\"\n{more}"));
    for (text, problem) in [
        (pool("strategy = \"best\""), "strategy: must be headroom, sequential or round_robin"),
        (pool("start = 0"), "start: must be a whole number from 1"),
        (pool("learn = \"yes\""), "learn: must be true or false"),
        (pool("shadow = 1"), "shadow: must be true or false"),
        (pool("refuse_unpriced = 1"), "refuse_unpriced: must be true or false"),
        (pool("[[pool.budget]]\ntag = \"t\""), "limits is missing"),
        (pool("[[pool.budget]]\nlimits = [\"$5\"]"), "limits"),
        (pool("affinity = true"), "affinity: must be text in quotes"),
        (pool("affinity = \"yes\""), "affinity: must be prompts, names or off"),
        (pool("patience = \"long\""), "patience: "),
        (format!("{}[[tenant]]\nname = \"t\"\n", pool("")), "tenant \"t\": tokens is missing"),
        (format!("{}[[tenant]]\nname = \"t\"\ntokens = []\n", pool("")), "tokens is empty"),
        (
            format!("{}[[tenant]]\nname = \"t\"\nweight = 0\ntokens = [\"canary\"]\n", pool("")),
            "weight",
        ),
    ] {
        let problems = problems(&text);
        assert!(problems.iter().any(|told| told.contains(problem)), "{problem}: {problems:?}");
        assert!(!problems.concat().contains("canary"), "{problems:?}");
    }
}

#[test]
fn the_database_is_relative_to_the_folder_of_the_file() {
    let text = |usage: &str| format!("[usage]\n{usage}\n{}", one_pool("", ""));
    let read = read(&text("prices = \"p.json\"\ndatabase = \"/u.sqlite\"\nask = false")).unwrap();
    assert_eq!(read.usage.prices.as_deref(), Some(Path::new("./p.json")));
    assert_eq!(read.usage.database.as_deref(), Some(Path::new("/u.sqlite")));
    assert_eq!((read.usage.tag_header.as_str(), read.usage.ask), ("x-usage-tag", false));
    for (usage, words) in [
        ("prices = \"\"", "keys.toml:2: usage: prices: must be the path of a file"),
        (
            "tag_header = \"authorization\"",
            "usage: tag_header: \"authorization\" must be a header without another",
        ),
        ("tag_header = \"x-api-key\"", "must be a header without another"),
        ("ask = 1", "usage: ask: must be true or false"),
        ("databse = \"x\"", "usage: databse is not a field here; the fields are prices, database"),
    ] {
        let found = problems(&text(usage));
        assert!(found.len() == 1 && found[0].contains(words), "{usage}: {found:?}");
    }
}

#[test]
fn an_endpoint_of_a_key_is_checked_and_never_shown() {
    let with = |endpoint: &str| {
        let key = r#"{ id = "k", secret = "canary-secret""#;
        one_pool(key, &format!("{key}, endpoint = \"{endpoint}\""))
    };
    assert!(read(&with("https://eu.example.com/proxy")).is_ok());
    for (endpoint, what) in [
        ("http://eu.example.com", "plain http"),
        ("https://u:canary@eu.example.com", "user name or password"),
        ("https://eu.example.com?key=canary", "query"),
        ("canary", "needs a scheme"),
    ] {
        let [problem] = &problems(&with(endpoint))[..] else { panic!("{endpoint}") };
        assert!(problem.starts_with("keys.toml:6: "), "{problem}");
        assert!(problem.contains("\"k\": endpoint: ") && problem.contains(what), "{problem}");
        assert!(!problem.contains("canary"), "{problem}");
    }
}
