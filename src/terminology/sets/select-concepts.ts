import type { ValueSetComposeInclude, ValueSetComposeIncludeFilter } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { CodeSystemView, Concept } from '../systems/code-system-view.ts';
import { ConceptSet } from './concept-set.ts';
import { safePattern } from './safe-pattern.ts';

/** A longer value is not in the index of an imported code system. */
export const FILTER_VALUE_CHARACTERS_MAX = 200;
/** Values of one `in` or `not-in`. */
export const FILTER_VALUES_MAX = 500;
/** Concepts that a pattern is held against one by one. */
export const PATTERN_CONCEPTS_MAX = 50_000;

/** The concepts of one code system that an include or exclude names by filters: those that meet all (R4 valueset.html#compositions). */
export async function selectByFilters(
  view: CodeSystemView,
  filters: NonNullable<ValueSetComposeInclude['filter']>,
): Promise<ConceptSet> {
  let set = ConceptSet.all(view.size);
  for (const filter of filters) set = set.intersection(await selectByFilter(view, filter));
  return set;
}

async function selectByFilter(
  view: CodeSystemView,
  filter: ValueSetComposeIncludeFilter,
): Promise<ConceptSet> {
  const { property = '', op, value = '' } = filter;
  if (value.length > FILTER_VALUE_CHARACTERS_MAX * (/in$/.test(op ?? '') ? FILTER_VALUES_MAX : 1))
    throw unsupported(`The value of a filter may have ${FILTER_VALUE_CHARACTERS_MAX} characters at most.`);
  switch (op) {
    case 'is-a':
      return withSelf(await below(view, value));
    case 'descendent-of':
      return (await below(view, value)).set;
    case 'is-not-a':
      return ConceptSet.all(view.size).without(withSelf(await below(view, value)));
    case 'generalizes': {
      const concept = await conceptOf(view, value);
      return withSelf({ concept, set: await view.ancestors(concept) });
    }
    case '=':
      return byValues(view, property, [value]);
    case 'in':
      return byValues(view, property, listOf(value));
    case 'not-in':
      return ConceptSet.all(view.size).without(await byValues(view, property, listOf(value)));
    case 'exists': {
      const having = (await view.withProperty(property, null)) ?? new ConceptSet(view.size);
      return value === 'true' ? having : ConceptSet.all(view.size).without(having);
    }
    case 'regex':
      return byPattern(view, property, value);
    default:
      throw unsupported(
        'The filter has an operator that R4 does not have. Use one of valueset-filter-operator.',
      );
  }
}

const unsupported = (text: string): Failure => new Failure('terminology.unsupported', text);

async function below(view: CodeSystemView, code: string): Promise<{ concept: Concept; set: ConceptSet }> {
  const concept = await conceptOf(view, code);
  return { concept, set: await view.descendants(concept) };
}

const withSelf = ({ concept, set }: { concept: Concept; set: ConceptSet }): ConceptSet =>
  set.union(ConceptSet.of(set.size, [concept.id]));

async function conceptOf(view: CodeSystemView, code: string): Promise<Concept> {
  const concept = (await view.find([code])).get(code);
  if (!concept)
    throw new Failure('terminology.unknown', 'A filter names a code that its code system does not have.');
  return concept;
}

function listOf(value: string): string[] {
  const values = value.split(',').map((one) => one.trim());
  if (values.length > FILTER_VALUES_MAX)
    throw unsupported(`A filter may list ${FILTER_VALUES_MAX} values at most.`);
  return values;
}

/** `code`, `display`, `parent`, `child` and `inactive` are properties of every code system (R4 codesystem.html#properties). */
async function byValues(
  view: CodeSystemView,
  property: string,
  values: readonly string[],
): Promise<ConceptSet> {
  const found = await view.withProperty(property, values);
  if (found) return found;
  if (property === 'code' || property === 'concept')
    return ConceptSet.of(
      view.size,
      [...(await view.find(values)).values()].map(({ id }) => id),
    );
  if (property === 'parent' || property === 'child') {
    let set = new ConceptSet(view.size);
    for (const concept of (await view.find(values)).values())
      set = set.union(
        property === 'parent'
          ? await view.children(concept)
          : ConceptSet.of(view.size, await view.parents(concept)),
      );
    return set;
  }
  if (property === 'inactive') {
    const inactive = await view.inactive();
    return values.includes('true') ? inactive : ConceptSet.all(view.size).without(inactive);
  }
  throw unsupported('A filter names a property that its code system does not declare.');
}

/** A pattern is held against the whole code or display, in code systems small enough to go through. */
async function byPattern(view: CodeSystemView, property: string, value: string): Promise<ConceptSet> {
  if (property !== 'code' && property !== 'display')
    throw unsupported('A regex filter is answered for code and display only.');
  if (view.size > PATTERN_CONCEPTS_MAX)
    throw unsupported(
      `A regex filter is answered for code systems of ${PATTERN_CONCEPTS_MAX} concepts at most.`,
    );
  const pattern = safePattern(value);
  if (!pattern)
    throw unsupported(
      'This regex is not answered: use letters, digits, classes, dots, and at most two of * + {}, no groups.',
    );
  const concepts = await view.read(ConceptSet.all(view.size).slice(0, view.size));
  return ConceptSet.of(
    view.size,
    concepts.filter((concept) => pattern.test(concept[property])).map(({ id }) => id),
  );
}
