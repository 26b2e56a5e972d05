import { IdListWriter } from '../sets/id-list.ts';
import { PREFIX_CHARACTERS_MAX, wordsOf } from '../sets/words.ts';

/** The lists by which concepts are found: by word, by short beginnings of words, by state. Filled in ascending order of concept numbers. */
export class WordLists {
  private readonly words = new Map<string, IdListWriter>();
  private readonly beginnings = new Map<string, IdListWriter>();
  private readonly states = new Map<string, IdListWriter>();

  add(concept: { id: number; inactive: boolean; abstract: boolean }, names: string): void {
    for (const word of new Set(wordsOf(names))) {
      addTo(this.words, word, concept.id);
      for (let length = Math.min(PREFIX_CHARACTERS_MAX, word.length); length > 0; length--)
        addTo(this.beginnings, word.slice(0, length), concept.id);
    }
    if (concept.inactive) addTo(this.states, 'inactive', concept.id);
    if (concept.abstract) addTo(this.states, 'abstract', concept.id);
  }

  *lists(): Generator<[kind: 'w' | 'p' | 's', term: string, ids: Buffer]> {
    for (const [term, ids] of this.words) yield ['w', term, ids.toBuffer()];
    for (const [term, ids] of this.beginnings) yield ['p', term, ids.toBuffer()];
    for (const [term, ids] of this.states) yield ['s', term, ids.toBuffer()];
  }
}

function addTo(lists: Map<string, IdListWriter>, term: string, id: number): void {
  let list = lists.get(term);
  if (!list) {
    // A word cut out of a long text would keep the whole text in memory.
    list = new IdListWriter();
    lists.set(Buffer.from(term).toString(), list);
  }
  list.add(id);
}
