/** Stands for a package that is asked for and never used (tools/compile.ts). */
export {};
