import type { Quantity } from '@medplum/fhirtypes';
import { existsIn } from '../exists-in.ts';
import { cutToken } from '../index-rows.ts';
import type { SearchKind } from '../search-kind.ts';
import { numberCondition } from './number.ts';

/**
 * R4 search.html#quantity: `[prefix]number`, `number|system|code`, `number||code` (code or unit). Units are not converted: a value
 * in `g` is not found by `mg`. A comparator opens the range: `<5` reaches from minus infinity to 5.
 */
export const quantityKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    for (const { value } of values) {
      const row = rowOf(value as Quantity & { low?: Quantity; high?: Quantity; currency?: string });
      if (row) into.quantities.push({ param: parameter.code, ...row });
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) => {
      const [number = '', system = '', given = ''] = text.split('|');
      const code = cutToken(given);
      const parts = [numberCondition(number, filter.parameter.code, parameters)];
      if (system !== '') parts.push(`s.system = ${parameters.add(system, 'text')}`);
      if (code !== '' && system !== '') parts.push(`s.code = ${parameters.add(code, 'text')}`);
      if (code !== '' && system === '') {
        parts.push(`(s.code = ${parameters.add(code, 'text')} OR s.unit = ${parameters.add(code, 'text')})`);
      }
      return `(${parts.join(' AND ')})`;
    });
    return existsIn('search_quantity', filter.parameter, on, parameters, conditions);
  },
};

interface Row {
  readonly lo: string;
  readonly hi: string;
  readonly system: string;
  readonly code: string;
  readonly unit: string;
}

function rowOf(
  value: (Quantity & { low?: Quantity; high?: Quantity; currency?: string }) | undefined,
): Row | null {
  const low = value?.low ?? value;
  const high = value?.high ?? value;
  if (low?.value === undefined && high?.value === undefined) return null;
  const open = value?.comparator ?? '';
  return {
    lo: open.startsWith('<') ? '-Infinity' : String(low?.value ?? '-Infinity'),
    hi: open.startsWith('>') ? 'Infinity' : String(high?.value ?? 'Infinity'),
    system: low?.system ?? (value?.currency ? 'urn:iso:std:iso:4217' : ''),
    code: cutToken(low?.code ?? value?.currency ?? ''),
    unit: low?.unit ?? '',
  };
}
