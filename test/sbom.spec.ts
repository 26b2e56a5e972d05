import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { makeSbom } from '../scripts/sbom.ts';

/** The rules of bom-1.6.schema.json for the parts that are written here: what is required, how it is spelt, and that nothing else stands there. */
const text = { type: 'string', minLength: 1 };
const component = {
  type: 'object',
  required: ['type', 'name'],
  additionalProperties: false,
  properties: {
    type: {
      enum: [
        'application',
        'framework',
        'library',
        'container',
        'platform',
        'operating-system',
        'device',
        'device-driver',
        'firmware',
        'file',
        'machine-learning-model',
        'data',
        'cryptographic-asset',
      ],
    },
    'bom-ref': text,
    group: text,
    name: text,
    version: { type: 'string', maxLength: 1_024 },
    scope: { enum: ['required', 'optional', 'excluded'] },
    hashes: {
      type: 'array',
      items: {
        type: 'object',
        required: ['alg', 'content'],
        additionalProperties: false,
        properties: {
          alg: {
            enum: [
              'MD5',
              'SHA-1',
              'SHA-256',
              'SHA-384',
              'SHA-512',
              'SHA3-256',
              'SHA3-384',
              'SHA3-512',
              'BLAKE2b-256',
              'BLAKE2b-384',
              'BLAKE2b-512',
              'BLAKE3',
            ],
          },
          content: {
            type: 'string',
            pattern: '^([a-fA-F0-9]{32}|[a-fA-F0-9]{40}|[a-fA-F0-9]{64}|[a-fA-F0-9]{96}|[a-fA-F0-9]{128})$',
          },
        },
      },
    },
    licenses: {
      type: 'array',
      oneOf: [
        {
          minItems: 1,
          maxItems: 1,
          items: {
            type: 'object',
            required: ['expression'],
            additionalProperties: false,
            properties: { expression: text },
          },
        },
        {
          items: {
            type: 'object',
            required: ['license'],
            additionalProperties: false,
            properties: { license: { type: 'object', required: ['name'], properties: { name: text } } },
          },
        },
      ],
    },
    purl: { type: 'string', pattern: '^pkg:npm/(%40[^/]+/)?[^/@]+@[^@/]+$' },
    externalReferences: {
      type: 'array',
      items: {
        type: 'object',
        required: ['type', 'url'],
        additionalProperties: false,
        properties: { type: text, url: { type: 'string', pattern: '^https?://' } },
      },
    },
  },
};
const BOM_1_6 = {
  type: 'object',
  required: ['bomFormat', 'specVersion', 'serialNumber', 'version', 'metadata', 'components', 'dependencies'],
  additionalProperties: false,
  properties: {
    $schema: { const: 'http://cyclonedx.org/schema/bom-1.6.schema.json' },
    bomFormat: { const: 'CycloneDX' },
    specVersion: { const: '1.6' },
    serialNumber: {
      type: 'string',
      pattern: '^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    },
    version: { type: 'integer', minimum: 1 },
    metadata: {
      type: 'object',
      required: ['timestamp', 'component'],
      additionalProperties: false,
      properties: {
        timestamp: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' },
        lifecycles: {
          type: 'array',
          items: {
            type: 'object',
            required: ['phase'],
            properties: {
              phase: {
                enum: [
                  'design',
                  'pre-build',
                  'build',
                  'post-build',
                  'operations',
                  'discovery',
                  'decommission',
                ],
              },
            },
          },
        },
        tools: { type: 'object', properties: { components: { type: 'array', items: component } } },
        component,
      },
    },
    components: { type: 'array', uniqueItems: true, items: component },
    dependencies: {
      type: 'array',
      uniqueItems: true,
      items: {
        type: 'object',
        required: ['ref'],
        additionalProperties: false,
        properties: { ref: text, dependsOn: { type: 'array', uniqueItems: true, items: text } },
      },
    },
  },
};

describe('the bill of materials', () => {
  const sbom = makeSbom('.', new Date('2026-01-01T00:00:00Z'));
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<
      string,
      { name?: string; version?: string; link?: boolean; dev?: boolean; integrity?: string }
    >;
  };

  it('keeps the rules of CycloneDX 1.6', () => {
    const isValid = new Ajv({ strict: false, allErrors: true }).compile(BOM_1_6);
    isValid(sbom);
    expect(isValid.errors ?? []).toEqual([]);
  });

  it('names every package that is locked, once, with the digest and the licence it has there', () => {
    const expected = new Set(
      Object.entries(lock.packages)
        .filter(([path, { version, link }]) => path !== '' && version && !link)
        .map(([path, { name, version }]) => `${name ?? path.split('node_modules/').at(-1)}@${version}`),
    );
    const libraries = sbom.components.filter(({ type }) => type === 'library');
    const named = libraries.map(
      ({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`,
    );
    expect(named.toSorted()).toEqual([...expected].toSorted());
    // npm locks optional packages of other platforms without a digest when it has not seen them.
    const withDigest = libraries.filter(({ hashes }) => hashes?.length).length;
    expect(withDigest).toBe(
      new Set(
        Object.entries(lock.packages)
          .filter(([, { integrity }]) => integrity)
          .map(([path, { name, version }]) => `${name ?? path.split('node_modules/').at(-1)}@${version}`),
      ).size,
    );
    expect(libraries.filter(({ scope, hashes }) => scope === 'required' && !hashes?.length)).toEqual([]);
    expect(libraries.filter(({ licenses }) => !licenses?.length).length).toBeLessThan(5);
    expect(libraries.find(({ name }) => name === 'vitest')?.scope).toBe('excluded');
    expect(libraries.find(({ name }) => name === 'fastify')?.scope).toBe('required');
  });

  it('says what depends on what, by references that are there, and everything is reached from the product', () => {
    const refs = new Set([
      sbom.metadata.component['bom-ref'],
      ...sbom.components.map((one) => one['bom-ref']),
    ]);
    expect(refs.size).toBe(sbom.components.length + 1);
    const edges = new Map(sbom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    for (const [ref, on] of edges) for (const one of [ref, ...on]) expect(refs.has(one), one).toBe(true);
    const reached = new Set<string>();
    const next = [sbom.metadata.component['bom-ref']];
    for (let ref = next.pop(); ref !== undefined; ref = next.pop()) {
      if (reached.has(ref)) continue;
      reached.add(ref);
      next.push(...(edges.get(ref) ?? []));
    }
    // What only peers ask for is installed beside them and reached through nobody.
    expect(refs.size - reached.size).toBeLessThan(refs.size * 0.05);
  });

  it('names the models that come along, with the digest of their file', () => {
    const model = sbom.components.find(({ name }) => name === 'ct-lung-density');
    expect([model?.type, model?.hashes?.[0]?.alg]).toEqual(['machine-learning-model', 'SHA-256']);
  });

  it('of the same lock file has the same serial number', () => {
    expect(makeSbom('.', new Date()).serialNumber).toBe(sbom.serialNumber);
  });
});
