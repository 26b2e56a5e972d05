/**
 * Limits on files from outside. A file beyond one of them is refused with `dicom.too-large`; none is set so low that a
 * real object of the kinds Prelim reads comes near it.
 */

/** Sequences in sequences. Deep TID 1500 trees reach about 10; recursion stays shallow. */
export const SEQUENCE_DEPTH_MAX = 16;
/** Elements and items of one data set, nested ones counted. An ordinary CT header has 150 to 400. */
export const ELEMENTS_MAX = 20_000;
/** The same of a large file: functional groups of an enhanced CT are 50 to 90 elements a frame, so 2,000 to 4,000 frames. Read in 0.2 s. */
export const LARGE_ELEMENTS_MAX = 200_000;
/** A file may have one element more per so many bytes: what a header takes in memory stays in proportion to what was sent. */
export const ELEMENT_BYTES_MIN = 40;
/** One value of a text VR. The longest VR with a 16-bit length cannot exceed it. */
export const STRING_BYTES_MAX = 65_536;
/** All values of one text element together: contour data of RT structure sets is the largest honest case. */
export const TEXT_ELEMENT_BYTES_MAX = 4 * 1024 * 1024;
/** Inflated size of a deflated data set: deflate packs zeros 1,029 to 1, so half a megabyte could become half a gigabyte. */
export const INFLATED_BYTES_MAX = 64 * 1024 * 1024;
/** Fragments of one pixel data element: enough for a 10,000 frame cine with a few fragments each. */
export const FRAGMENTS_MAX = 65_536;
