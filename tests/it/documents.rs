//! The documents name what there is: requirements, tests, files.

use std::fs;
use std::path::{Path, PathBuf};

/// As many requirements as there are: SR1 to SR47.
const REQUIREMENTS: usize = 47;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// What stands between back-ticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// One row of the table of requirements.
struct Row<'text> {
    number: &'text str,
    proof: &'text str,
}

impl Row<'_> {
    /// The tests that it names, as paths.
    fn tests(&self) -> impl Iterator<Item = &str> {
        quoted(self.proof).filter(|name| name.contains("::"))
    }
}

fn rows(security: &str) -> Vec<Row<'_>> {
    let rows = security.lines().filter(|line| line.starts_with("| SR"));
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        let [number, .., proof] = cells[..] else { panic!("{line}") };
        Row { number: number.trim(), proof }
    })
    .collect()
}

/// The sources of tests, with their paths from the root.
struct Sources(Vec<(String, String)>);

impl Sources {
    fn read() -> Self {
        let paths = ["src", "tests/it"].iter().flat_map(|folder| files(&root().join(folder), ".rs"));
        let name = |path: &Path| path.strip_prefix(root()).expect("below").to_string_lossy().into_owned();
        Self(paths.map(|path| (name(&path), text(&path))).collect())
    }

    /// The comment above the test of that path; with `::` at the end, the heads of
    /// its whole module. `None` when there is no such thing.
    fn comment(&self, test: &str) -> Option<String> {
        let (module, function) = test.rsplit_once("::")?;
        let inner = module.strip_suffix("::tests").unwrap_or(module);
        let places = [module, inner].map(|module| module.replace("::", "/"));
        let is_there = |file: &str| {
            let file = file.trim_end_matches(".rs");
            places.iter().any(|place| [format!("src/{place}"), format!("tests/it/{place}")].contains(&file.to_owned()))
        };
        let mut of_module = self.0.iter().filter(|(file, _)| is_there(file)).map(|(_, source)| source);
        if function.is_empty() {
            return of_module.next().cloned();
        }
        of_module.find_map(|source| comment_above(source, function))
    }
}

fn comment_above(source: &str, function: &str) -> Option<String> {
    let head = format!("fn {function}(");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.contains(&head))?;
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    Some(above.copied().collect::<Vec<_>>().join("\n"))
}

/// Whether `number` stands there as a word of its own: SR4 is not in SR40.
fn names(text: &str, number: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == number)
}

#[test]
fn each_requirement_has_its_row() {
    let security = text("docs/security.md");
    let numbers: Vec<_> = rows(&security).iter().map(|row| row.number.to_owned()).collect();
    let expected: Vec<_> = (1..=REQUIREMENTS).map(|number| format!("SR{number}")).collect();
    assert_eq!(numbers, expected);
}

/// A row names tests that there are, and one of them says which requirement it
/// shows; or it says that the requirement is met otherwise, or that it is not.
#[test]
fn each_requirement_is_shown() {
    let (security, sources) = (text("docs/security.md"), Sources::read());
    let mut problems = Vec::new();
    for row in rows(&security) {
        let comments: Vec<_> = row.tests().map(|test| (test, sources.comment(test))).collect();
        let missing = comments.iter().filter(|(_, comment)| comment.is_none());
        problems.extend(missing.map(|(test, _)| format!("{}: there is no {test}", row.number)));
        let is_shown = comments.iter().flat_map(|(_, comment)| comment).any(|comment| names(comment, row.number));
        if !is_shown && !["Met otherwise", "Not built"].iter().any(|word| row.proof.contains(word)) {
            problems.push(format!("{}: no test that the row names says so", row.number));
        }
    }
    assert_eq!(problems, [""; 0]);
}

/// The rows of docs/vipps.md: each feature of the flow, and the tests that prove it.
#[test]
fn each_feature_of_the_flow_is_proven() {
    let (vipps, sources) = (text("docs/vipps.md"), Sources::read());
    let table =
        vipps.lines().skip_while(|line| !line.starts_with("| feature |")).take_while(|line| line.starts_with('|'));
    let mut features = 0;
    let mut problems = Vec::new();
    for line in table.skip(2) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [feature, source, use_of_it, proof] = cells[..] else { panic!("not four cells: {line}") };
        features += 1;
        if [feature, source, use_of_it].iter().any(|cell| cell.is_empty()) {
            problems.push(format!("{feature}: a cell is empty"));
        }
        let tests: Vec<_> = quoted(proof).filter(|name| name.contains("::")).collect();
        if tests.is_empty() {
            problems.push(format!("{feature}: no test"));
        }
        let missing = tests.iter().filter(|test| sources.comment(test).is_none());
        problems.extend(missing.map(|test| format!("{feature}: there is no {test}")));
    }
    assert!(features >= 20, "the table has been cut off");
    assert_eq!(problems, [""; 0]);
}

/// SR1, SR45.
/// The table in the README is what callers look into when a call is refused.
#[test]
fn each_reason_of_the_api_is_explained_in_the_readme() {
    let (api, readme) = (text("proto/ciba_gateway/v1/login_service.proto"), text("README.md"));
    let table = readme.lines().skip_while(|line| !line.starts_with("| status |"));
    let told: Vec<_> = table.take_while(|line| line.starts_with('|')).flat_map(words).collect();
    let head = api.lines().take_while(|line| line.starts_with("//") || !line.starts_with("package"));
    let reasons: Vec<_> = head
        .filter_map(|line| line.strip_prefix("//   "))
        .map(|line| line.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_uppercase()))
        .flat_map(|line| words(line.trim_start().split("  ").next().unwrap_or_default()))
        .collect();
    assert!(reasons.len() > 50, "the reasons were not found: {reasons:?}");
    let missing: Vec<_> = reasons.iter().filter(|reason| !told.contains(reason)).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}

/// The names in it that are written as constants are.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric());
    words.filter(|word| word.len() > 3 && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase()))
}

#[test]
fn the_risk_assessment_and_the_texts_for_agents_are_found_from_the_readme() {
    let (readme, security) = (text("README.md"), text("docs/security.md"));
    assert!(readme.contains("(docs/security.md)"));
    assert!(security.contains("## Cross-device consent phishing"));
    for language in ["en", "nb", "sv", "da", "fi"] {
        assert!(security.contains(&format!("(agent-text/{language}.md)")), "{language}");
        assert!(text(format!("docs/agent-text/{language}.md")).contains("PIN"), "{language}");
    }
}

#[test]
fn no_link_between_documents_leads_nowhere() {
    let mut documents = files(&root().join("docs"), ".md");
    documents.extend(files(&root().join("deploy"), ".md"));
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut broken = Vec::new();
    for document in documents {
        let content = text(&document);
        for link in content.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let is_ours = !path.is_empty() && !path.contains(':');
            if is_ours && !document.with_file_name(path).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}
