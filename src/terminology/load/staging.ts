import type { Client } from 'pg';
import type { Designation, PropertyType } from '../systems/code-system-view.ts';
import { CopyRows } from './copy-rows.ts';

/** What a file says of the code system as a whole. */
export interface SystemDescription {
  readonly url: string;
  readonly version: string;
  /** For computers: letters, digits, underscore. */
  readonly name: string;
  readonly title: string;
  readonly copyright?: string;
  readonly caseSensitive: boolean;
  readonly properties: Readonly<Record<string, PropertyType>>;
}

/** Called with what is being done and how many concepts it has reached. */
export type ImportProgress = (stage: string, concepts: number) => void;

/** Reads a file into the staging tables, and says what it was. */
export type ReadTerminology = (into: Staging) => Promise<SystemDescription>;

/** A concept as it stands in a file. */
export interface StagedConcept {
  readonly code: string;
  readonly display: string;
  readonly definition?: string | null;
  readonly inactive?: boolean;
  readonly abstract?: boolean;
}

/**
 * Temporary tables in the order of the file, where parents may be named before they come: codes become numbers later, by joins. They end
 * with the connection.
 */
export class Staging {
  /** Concepts so far. */
  concepts = 0;
  private readonly rows: Record<'concept' | 'parent' | 'property' | 'designation', CopyRows>;

  private constructor(
    /** For formats that need tables of their own. */
    readonly client: Client,
    private readonly progress: (concepts: number) => void,
  ) {
    this.rows = {
      concept: new CopyRows(client, 'stage_concept', [
        'code',
        'display',
        'definition',
        'inactive',
        'abstract',
      ]),
      parent: new CopyRows(client, 'stage_parent', ['child', 'parent']),
      property: new CopyRows(client, 'stage_property', ['code', 'property', 'value']),
      designation: new CopyRows(client, 'stage_designation', [
        'code',
        'language',
        'use_system',
        'use_code',
        'use_display',
        'value',
      ]),
    };
  }

  static async open(client: Client, progress: (concepts: number) => void): Promise<Staging> {
    await client.query(STAGING);
    return new Staging(client, progress);
  }

  async concept({ code, display, definition, inactive, abstract }: StagedConcept): Promise<void> {
    await this.rows.concept.add(code, display, definition ?? null, inactive ?? false, abstract ?? false);
    this.concepts += 1;
    this.progress(this.concepts);
  }

  parent(child: string, parent: string): Promise<void> {
    return this.rows.parent.add(child, parent);
  }

  property(code: string, property: string, value: string): Promise<void> {
    return this.rows.property.add(code, property, value);
  }

  designation(code: string, { language, use, value }: Designation): Promise<void> {
    const { system = null, code: useCode = null, display = null } = use ?? {};
    return this.rows.designation.add(code, language, system, useCode, display, value);
  }

  async flush(): Promise<void> {
    for (const rows of Object.values(this.rows)) await rows.flush();
  }
}

const STAGING = `
  CREATE TEMPORARY TABLE stage_concept (
    code text COLLATE "C", display text, definition text, inactive boolean, abstract boolean) ON COMMIT DROP;
  CREATE TEMPORARY TABLE stage_parent (child text COLLATE "C", parent text COLLATE "C") ON COMMIT DROP;
  CREATE TEMPORARY TABLE stage_property (code text COLLATE "C", property text, value text) ON COMMIT DROP;
  CREATE TEMPORARY TABLE stage_designation (
    code text COLLATE "C", language text, use_system text, use_code text, use_display text, value text) ON COMMIT DROP;
`;
