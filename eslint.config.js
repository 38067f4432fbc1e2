import js from "@eslint/js";
import tseslint from "typescript-eslint";

// Machines differ in speed and are shared: a test asserts ratios within one run, or counts. A deadline only ends a test
// that would wait for ever.
const boundsInMilliseconds = [
  {
    selector: 'CallExpression[callee.name="within"] > Literal[value<30000]',
    message: "A deadline of a test is at least 30 s.",
  },
  {
    selector:
      'CallExpression[callee.name="eventually"] > ObjectExpression > Property[key.name="timeoutMs"] > Literal[value<30000]',
    message: "A deadline of a test is at least 30 s.",
  },
  {
    selector:
      'CallExpression[callee.object.name="assert"] > BinaryExpression[operator=/^[<>]/]:matches([left.name=/Ms$/], :has(CallExpression[callee.object.name="performance"])) > Literal[value>0]',
    message: "Assert a ratio to a reference of the same run, or a count, in place of milliseconds.",
  },
];

export default tseslint.config(
  { ignores: ["node_modules", "dist", ".cache", "agent/gen", "agent/libvirt/protocol", "test/fixtures"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: "tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-console": "error",
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // node:test's own promises are awaited by its runner.
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", name: ["test", "it", "describe", "suite"], package: "node:test" },
          ],
        },
      ],
      "no-console": "off",
      "no-restricted-syntax": ["error", ...boundsInMilliseconds],
    },
  },
  // TypeScript knows what a browser has (agent/page/browser/tsconfig.json).
  {
    files: ["agent/page/browser/*.js"],
    rules: {
      "no-undef": "off",
      "no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
    },
  },
  {
    ignores: ["agent/page/browser/*.js"],
    files: ["**/*.js", "**/*.mjs", "**/*.cjs"],
    languageOptions: {
      globals: { process: "readonly", console: "readonly", module: "readonly", URL: "readonly" },
    },
  },
);
