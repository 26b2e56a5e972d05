import { type SaxesAttributeNS, SaxesParser, type SaxesTagNS } from 'saxes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { csvRows } from './read-loinc.ts';
import type { SourceFile } from './source-files.ts';
import type { ReadTerminology, Staging, SystemDescription } from './staging.ts';

/** RadLex as OWL (RDF/XML): classes with label, synonyms, definition, parents. The texts of one class are some kilobytes. */
export function readRadLexOwl(file: SourceFile): ReadTerminology {
  return async (into) => {
    const reader = new OwlReader();
    for await (const chunk of file.text()) {
      for (const one of reader.push(chunk)) await stage(one, into);
    }
    reader.end();
    return { ...RADLEX, version: reader.version };
  };
}

/** RadLex as the table that BioPortal gives: Class ID, Preferred Label, Synonyms, Definitions, Obsolete, Parents. */
export function readRadLexCsv(file: SourceFile): ReadTerminology {
  return async (into) => {
    for await (const row of csvRows(file)) {
      const code = codeOf(row['Class ID'] ?? '');
      if (code === null) continue;
      const parents = split(row['Parents']).flatMap((parent) => codeOf(parent) ?? []);
      const inactive = /^true$/i.test(row['Obsolete'] ?? '');
      const definition = row['Definitions'] || null;
      const display = row['Preferred Label'] || code;
      const synonyms = split(row['Synonyms']);
      await stage({ code, display, definition, inactive, parents, synonyms, others: [] }, into);
    }
    return { ...RADLEX, version: '' };
  };
}

interface RadLexClass {
  code: string;
  display: string;
  definition: string | null;
  inactive: boolean;
  readonly parents: string[];
  readonly synonyms: string[];
  /** Names in other languages. */
  readonly others: { readonly language: string; readonly value: string }[];
}

async function stage(
  { code, parents, synonyms, others, ...rest }: RadLexClass,
  into: Staging,
): Promise<void> {
  await into.concept({ code, ...rest });
  for (const parent of new Set(parents)) await into.parent(code, parent);
  for (const value of new Set(synonyms))
    if (value !== rest.display) await into.designation(code, { language: null, use: null, value });
  for (const { language, value } of others) await into.designation(code, { language, use: null, value });
}

const split = (text: string | undefined): string[] => (text ?? '').split('|').filter((part) => part !== '');

/** `RID1301` out of `http://www.radlex.org/RID/RID1301`, `…#RID1301` or itself. */
function codeOf(uri: string): string | null {
  return /(?:^|[/#])(RID\d+)$/.exec(uri.trim())?.[1] ?? null;
}

const RADLEX: Omit<SystemDescription, 'version'> = {
  url: CODE_SYSTEMS.radlex,
  name: 'RadLex',
  title: 'RadLex radiology lexicon',
  copyright: 'RadLex is copyright the Radiological Society of North America; see its licence.',
  caseSensitive: true,
  properties: {},
};

/** Text of one element; a definition has some hundred characters. */
export const XML_TEXT_CHARACTERS_MAX = 262_144;

/** Entities of a document type, and the length of one: Protégé abbreviates the dozen namespaces of an ontology so. */
export const XML_ENTITIES_MAX = 100;
const XML_ENTITY_CHARACTERS_MAX = 200;

/** Those that are plain text. One made of others, or fetched from elsewhere, is left out, so that nothing can be made to grow; who uses it has a file that cannot be read. */
function entitiesIn(doctype: string): Record<string, string> {
  const entities: Record<string, string> = {};
  const declared = doctype.matchAll(/<!ENTITY\s+([A-Za-z_][\w.-]*)\s+(?:"([^"&%<]*)"|'([^'&%<]*)')\s*>/g);
  for (const [, name = '', double, single] of [...declared].slice(0, XML_ENTITIES_MAX)) {
    const value = double ?? single ?? '';
    if (value.length <= XML_ENTITY_CHARACTERS_MAX && !XML_OWN.has(name)) entities[name] = value;
  }
  return entities;
}

const XML_OWN: ReadonlySet<string> = new Set(['amp', 'lt', 'gt', 'quot', 'apos']);

/** Takes RDF/XML in chunks and gives classes. */
class OwlReader {
  version = '';
  private readonly parser = new SaxesParser({ xmlns: true });
  private done: RadLexClass[] = [];
  private current: RadLexClass | null = null;
  /** How deep the current class is nested in elements; classes within a class (restrictions) are not concepts. */
  private depth = 0;
  private classDepth = 0;
  private text = '';
  /** Of the element at hand; empty where it says none. */
  private language = '';

  constructor() {
    this.parser.on('opentag', (tag) => this.opened(tag));
    this.parser.on('closetag', (tag) => this.closed(tag));
    this.parser.on('text', (text) => {
      this.text += text;
      if (this.text.length > XML_TEXT_CHARACTERS_MAX) throw malformed();
    });
    this.parser.on('doctype', (text) => {
      Object.assign(this.parser.ENTITIES, entitiesIn(text));
    });
    this.parser.on('error', () => {
      throw malformed();
    });
  }

  push(chunk: string): RadLexClass[] {
    this.parser.write(chunk);
    const { done } = this;
    this.done = [];
    return done;
  }

  end(): void {
    this.parser.close();
  }

  private opened(tag: SaxesTagNS): void {
    this.depth += 1;
    this.text = '';
    this.language = tag.attributes['xml:lang']?.value.toLowerCase() ?? '';
    const about = resourceOf(tag, 'about') ?? resourceOf(tag, 'ID');
    if (this.current) {
      const parent = tag.local === 'subClassOf' ? codeOf(resourceOf(tag, 'resource') ?? '') : null;
      if (parent !== null && this.depth === this.classDepth + 1) this.current.parents.push(parent);
      return;
    }
    const code = tag.local === 'Class' || PROTEGE_CLASS.test(tag.local) ? codeOf(about ?? '') : null;
    if (code === null) return;
    this.classDepth = this.depth;
    const [display, definition] = ['', null];
    this.current = { code, display, definition, inactive: false, parents: [], synonyms: [], others: [] };
  }

  private closed(tag: SaxesTagNS): void {
    const text = this.text.trim();
    if (this.current && this.depth === this.classDepth + 1) this.take(this.current, tag.local, text);
    if (tag.local === 'versionInfo' && this.version === '') this.version = text;
    if (this.current && this.depth === this.classDepth) {
      this.done.push({ ...this.current, display: this.current.display || this.current.code });
      this.current = null;
    }
    this.depth -= 1;
    this.text = '';
  }

  private take(into: RadLexClass, element: string, text: string): void {
    if (text === '') return;
    const isName = /^(Preferred_name|label|Synonym|altLabel|hasExactSynonym)$/i.test(element);
    // A name in another language is one more name, never what the concept is called.
    if (isName && this.language !== '' && !/^en\b/.test(this.language))
      into.others.push({ language: this.language, value: text });
    else if (element === 'Preferred_name' || (element === 'label' && into.display === ''))
      into.display = text;
    else if (/^(Synonym|altLabel|hasExactSynonym)$/i.test(element)) into.synonyms.push(text);
    else if (/^(Definition|comment)$/i.test(element)) into.definition ??= text;
    else if (element === 'deprecated') into.inactive ||= text === 'true' || text === '1';
    else if (element === 'Preferred_Name_for_Obsolete') {
      into.inactive = true;
      if (into.display === '') into.display = text;
    }
  }
}

/** Older RadLex files write a class under the name of its metaclass. */
const PROTEGE_CLASS = /metaclass$/i;

function resourceOf(tag: SaxesTagNS, name: string): string | undefined {
  const all = Object.values(tag.attributes) as SaxesAttributeNS[];
  return all.find((attribute) => attribute.local === name)?.value;
}

const malformed = (): Failure =>
  new Failure('terminology.import', 'The file is not XML that can be read. Check that it is complete.');
