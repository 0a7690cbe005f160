// Validates values against schemas of an OpenAPI 3.1 document with Ajv, which computes in binary.
// Reads {"document": …, "checks": [{"schema": JSON pointer, "value": …}]} from standard input, and
// prints a JSON list of the errors. The current folder must contain the packages.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const requirePackage = createRequire(join(process.cwd(), "package.json"));
const Ajv = requirePackage("ajv/dist/2020").default;
const addFormats = requirePackage("ajv-formats").default;

const { document, checks } = JSON.parse(readFileSync(0, "utf8"));
const ajv = new Ajv({ strict: true, allowUnionTypes: true });
addFormats(ajv);
ajv.addVocabulary(Object.keys(document)); // the parts around the schemas are no error
ajv.addSchema(document, "openapi", undefined, false);

const schemas = [...new Set(checks.map(({ schema }) => schema))];
const validators = new Map(
  schemas.map((schema) => [schema, ajv.compile({ $ref: `openapi#${schema}` })]),
);
const errors = checks.filter(({ schema, value }) => !validators.get(schema)(value));
console.log(JSON.stringify(errors));
