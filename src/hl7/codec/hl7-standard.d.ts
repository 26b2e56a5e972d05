/** The part of hl7-standard 1.0.4 that the codec uses; the package ships no types. */
declare module 'hl7-standard' {
  interface StandardSegment {
    readonly type: string;
    /** Place in the message. */
    readonly index: number;
    /** `PID.5` → string | components | repetitions | subcomponents of the only component; see standard.ts. */
    readonly data: Record<string, unknown>;
  }

  export default class HL7 {
    constructor(raw: string, options?: { lineEndings?: string });
    readonly transformed: Record<string, StandardSegment[]>;
    transform(): void;
    createSegment(name: string): StandardSegment;
    build(): string;
  }
}
