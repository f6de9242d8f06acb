// The manifest of clamator's generator, made with the libraries that it calls: for each schema its text, and the file.
//
// The generator itself is in no registry; what it does around these libraries is sorting, hashing and a layout, which is
// written here again. Prints one JSON object; `names N` as arguments: sorted names instead.

'use strict';

const { createHash } = require('node:crypto');
const { z } = require('zod');
const { zodToJsonSchema } = require('zod-to-json-schema');

function lowered(schema, target) {
  const text = JSON.stringify(zodToJsonSchema(schema, { target, $refStrategy: 'none' }));
  return { text, hash: createHash('sha256').update(text).digest('hex') };
}

const tree = z.object({ value: z.number(), get left() { return z.lazy(() => tree).optional(); } });
const pair = z.object({ zeta: z.number().int(), alpha: z.string() });

// By service and method: params, and the result, or null for a notification.
const contracts = {
  arith: {
    add: [z.object({ a: z.number().int(), b: z.number().int() }), z.object({ sum: z.number().int() })],
    addB: [z.object({ a: z.number() }), z.object({})],
    aB: [z.object({}), z.any()],
    ab: [z.object({}), z.unknown()],
    adda: [z.object({}), z.never()],
    a1: [z.object({}), z.null()],
    a10: [z.object({}), z.boolean()],
    a2: [z.object({}), z.literal('x')],
  },
  'optio-engine': {
    strings: [
      z.object({
        id: z.string().uuid(), mail: z.string().email(), when: z.string().datetime(), at: z.string().url(),
        short: z.string().min(1).max(10), like: z.string().regex(/^a"\\b[\u0000-\u001f]é😀$/),
      }),
      z.string().nullable(),
    ],
    numbers: [
      z.object({
        big: z.number().int().min(-9007199254740991).max(9007199254740991), small: z.number().gt(0).lt(1),
        tiny: z.number().min(5e-324).max(1.7976931348623157e308), third: z.number().min(0.1).max(1e21),
        step: z.number().multipleOf(0.000001), edge: z.number().min(1e-7).max(123456789012345680000),
        nil: z.number().min(-0).max(1.0), off: z.number().int().optional(),
      }),
      z.union([z.string(), z.number()]),
    ],
    choices: [
      z.object({
        kind: z.enum(['b', 'a', '', 'é', '\u2028', '"']),
        one: z.literal(1), yes: z.literal(true),
        shape: z.discriminatedUnion('kind', [
          z.object({ kind: z.literal('circle'), r: z.number() }),
          z.object({ kind: z.literal('square'), side: z.number() }),
        ]),
        mixed: z.union([z.string().min(2), z.number().int(), z.null()]),
        nested: z.array(z.array(pair).min(1).max(3)).length(2),
      }),
      z.array(z.string()),
    ],
    collections: [
      z.object({
        map: z.record(z.number()), any: z.record(z.any()), tuple: z.tuple([z.string(), z.boolean()]),
        set: z.set(z.string()), open: z.object({ x: z.string() }).passthrough(), strict: z.object({ x: z.string() }).strict(),
        rest: z.object({}).catchall(z.number()), both: z.object({ a: z.string() }).and(z.object({ b: z.string() })),
      }),
      z.record(z.string(), pair),
    ],
    defaults: [
      z.object({
        one: z.number().default(1), text: z.string().default('\ud83d\ude00"\n'), list: z.array(z.number()).default([1, 2.5, 1e21]),
        described: z.string().describe('What it is.\nIn two lines.'), maybe: z.string().optional(), nullish: z.string().nullish(),
      }),
      pair.partial(),
    ],
    trees: [tree, z.object({ a: pair, b: pair })],
  },
  a: { ping: [z.object({ tag: z.string().optional() }), null] },
  notifications: { ping: [z.object({ tag: z.string().optional() }), null] },
};

// The order of the generator: services, then methods, by localeCompare.
const byName = ([a], [b]) => a.localeCompare(b);

function manifest(target) {
  const out = { generatedBy: '@clamator/codegen v0.1.9', contracts: {} };
  for (const [service, methods] of Object.entries(contracts).sort(byName)) {
    out.contracts[service] = {};
    for (const [name, [params, result]] of Object.entries(methods).sort(byName)) {
      out.contracts[service][name] = {
        paramsHash: lowered(params, target).hash,
        resultHash: result === null ? null : lowered(result, target).hash,
      };
    }
  }
  return JSON.stringify(out, null, 2) + '\n';
}

function texts(target) {
  const out = {};
  for (const [service, methods] of Object.entries(contracts)) {
    out[service] = {};
    for (const [name, [params, result]] of Object.entries(methods)) {
      const text = (schema) => schema === null ? null : lowered(schema, target).text;
      out[service][name] = { params: text(params), result: text(result) };
    }
  }
  return out;
}

// Types that the Rust side writes as structs and enums.
const types = {
  person: z.object({
    name: z.string(), age: z.number().int().min(0).max(255), score: z.number(), nick: z.string().optional(),
    tags: z.array(z.string()), home: z.object({ street: z.string(), number: z.number().int().min(0) }),
    pet: z.enum(['Cat', 'Dog']), extra: z.record(z.number().int()), spot: z.tuple([z.number(), z.boolean()]),
  }),
  nothing: z.object({}),
  total: z.object({ sum: z.number().int(), note: z.string().nullable() }),
  event: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('opened'), by: z.string() }),
    z.object({ kind: z.literal('closed') }),
  ]),
};

const [mode, count] = process.argv.slice(2);
if (mode === 'names') {
  // Names by a generator with a fixed seed, sorted as the real one sorts.
  let state = 12345;
  const next = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor(state / 65536) % n; };
  const letters = 'abAB019zZyY';
  const names = new Set();
  while (names.size < Number(count)) {
    let name = 'abz'[next(3)];
    for (let n = next(6); n > 0; n--) name += letters[next(letters.length)];
    names.add(name);
  }
  console.log(JSON.stringify([...names].sort((a, b) => a.localeCompare(b))));
} else {
  const targets = ['jsonSchema7', 'openApi3'];
  console.log(JSON.stringify({
    manifests: Object.fromEntries(targets.map((target) => [target, manifest(target)])),
    texts: Object.fromEntries(targets.map((target) => [target, texts(target)])),
    types: Object.fromEntries(Object.entries(types).map(([name, schema]) => [name, lowered(schema, 'jsonSchema7').text])),
  }));
}
