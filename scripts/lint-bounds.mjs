// A rule of the linter (.oxlintrc.json). Machines differ in speed and are shared: a test asserts ratios within one run, or
// counts. A deadline only ends a test that would wait for ever.
const bounds = {
  'CallExpression[callee.name="within"] > Literal[value<30000]': "A deadline of a test is at least 30 s.",
  'CallExpression[callee.name="eventually"] > ObjectExpression > Property[key.name="timeoutMs"] > Literal[value<30000]':
    "A deadline of a test is at least 30 s.",
  'CallExpression[callee.object.name="assert"] > BinaryExpression[operator=/^[<>]/]:matches([left.name=/Ms$/], :has(CallExpression[callee.object.name="performance"])) > Literal[value>0]':
    "Assert a ratio to a reference of the same run, or a count, in place of milliseconds.",
};

export default {
  meta: { name: "bounds" },
  rules: {
    "no-milliseconds": {
      create: (context) =>
        Object.fromEntries(
          Object.entries(bounds).map(([selector, message]) => [
            selector,
            (node) => context.report({ node, message }),
          ]),
        ),
    },
  },
};
