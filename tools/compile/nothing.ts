/** Stands for a package that is asked for and never used (tools/compile/main.ts). */
export {};
