import { existsSync, readFileSync } from 'node:fs';
import type { CodeSystem, ConceptMap, ConceptMapGroupElement } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import { shippedConceptMaps, terminologyResources } from './shipped-terminology.ts';

const GPS = new URL('../../../shared/data/terminology/ValueSet-snomed-intl-gps.json', import.meta.url);

const rowsOf = (map: ConceptMap): readonly ConceptMapGroupElement[] => map.group?.[0]?.element ?? [];
const find = (id: string) =>
  shippedConceptMaps({ licensed: true }).find((map) => map.id === id) as ConceptMap;
const codeSystem = (id: string) =>
  terminologyResources().find((resource) => resource.id === id) as CodeSystem;
const codes = (id: string) => codeSystem(id).concept?.map(({ code }) => code) ?? [];

describe('the maps we ship', () => {
  it('give every row with a code two different sources and a match grade', () => {
    for (const map of shippedConceptMaps({ licensed: true })) {
      for (const { code, target } of rowsOf(map)) {
        for (const one of target ?? []) {
          if (one.equivalence === 'unmatched') {
            expect(one.code, `${map.id} ${code}`).toBeUndefined();
            expect(one.comment, `${map.id} ${code}`).toBeTruthy();
            continue;
          }
          expect(['equivalent', 'wider', 'narrower'], `${map.id} ${code}`).toContain(one.equivalence);
          const sources = (one.extension ?? []).map(({ valueString }) => valueString);
          expect(new Set(sources).size, `${map.id} ${code}`).toBe(2);
        }
      }
    }
  });

  it('answer for every finding key in SNOMED CT and RadLex, if only with an explicit none', () => {
    for (const id of ['finding-to-sct', 'finding-to-radlex']) {
      expect(
        rowsOf(find(id)).map(({ code }) => code),
        id,
      ).toEqual(codes('finding'));
    }
  });

  it('know no finding that the code system does not have', () => {
    for (const map of shippedConceptMaps({ licensed: true })) {
      for (const { code } of rowsOf(map)) expect(codes('finding'), map.id).toContain(code);
    }
  });

  it('say that RadLex has no cardiomegaly', () => {
    const row = rowsOf(find('finding-to-radlex')).find(({ code }) => code === 'cardiomegaly');
    expect(row?.target).toMatchObject([{ equivalence: 'unmatched' }]);
  });

  it('hold none of the wrong maps that public code is full of', () => {
    const wrong = [
      ['pneumonia', 'RID5352'],
      ['pleural-thickening', 'RID5352'],
      ['pneumothorax', 'RID5017'],
      ['cardiomegaly', 'RID5016'],
      ['cardiomegaly', 'RID35057'],
      ['cardiomegaly', 'RID1392'],
      ['fracture', 'RID4981'],
      ['lung-nodule', '27925004'],
      ['hernia', 'RID4895'],
      ['pleural-thickening', 'RID28509'],
    ];
    const anywhere = ['RID4800', 'RID49600', 'RID49483'];
    for (const map of shippedConceptMaps({ licensed: true })) {
      for (const { code, target } of rowsOf(map)) {
        for (const one of target ?? []) {
          expect(wrong).not.toContainEqual([code, one.code]);
          expect(anywhere).not.toContain(one.code);
        }
      }
    }
  });

  it.skipIf(!existsSync(GPS))(
    'use only SNOMED CT concepts of the Global Patient Set (skipped: no shared data)',
    () => {
      const gps = JSON.parse(readFileSync(GPS, 'utf8')) as {
        compose: { include: { concept: { code: string; display: string }[] }[] };
      };
      const free = new Map(
        gps.compose.include.flatMap(({ concept }) => concept.map((c) => [c.code, c.display] as const)),
      );
      for (const { code, target } of rowsOf(find('finding-to-sct'))) {
        for (const one of target ?? []) {
          if (one.code === undefined) continue;
          // The display of the set is the fully specified name: ours and its semantic tag.
          expect(free.get(one.code), code).toMatch(new RegExp(`^${one.display} \\(.+\\)$`));
        }
      }
      for (const { target } of rowsOf(find('finding-to-sct-licensed'))) {
        for (const one of target ?? []) expect(free.has(one.code ?? '')).toBe(false);
      }
    },
  );

  it('leave out the licensed rows unless a site switches them on', () => {
    const urls = terminologyResources().map(({ url }) => url);
    expect(urls.some((url) => url?.includes('licensed'))).toBe(false);
    expect(shippedConceptMaps({ licensed: true })).toHaveLength(shippedConceptMaps().length + 1);
  });
});

describe('the code systems we ship', () => {
  it('stand under the URLs the server uses', () => {
    expect(codeSystem('finding').url).toBe(CODE_SYSTEMS.finding);
    expect(codeSystem('refusal').url).toBe(CODE_SYSTEMS.refusal);
    expect(codeSystem('finding').count).toBe(codes('finding').length);
  });
});
