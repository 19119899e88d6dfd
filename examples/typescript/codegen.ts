import type { CodegenConfig } from '@graphql-codegen/cli'

// `npm run generate` writes the types of operations.graphql into generated.ts.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: 'operations.graphql',
  generates: {
    'generated.ts': {
      plugins: ['typescript-operations'],
      config: {
        useTypeImports: true,
        operationResultSuffix: 'Result',
        // DateTime is RFC 3339 text; Decimal is a number, or text where a number is not exact enough.
        scalars: { DateTime: 'string', Decimal: 'number | string', JSON: 'unknown' },
      },
    },
  },
}

export default config
