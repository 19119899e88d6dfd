"""Compiled operations: a document that comes again and again is answered by Python that was generated for it.

graphql-core walks types and documents anew for every request, and Strawberry looks up every argument's type: some 500
microseconds for one mutation with a typed input. A plan does that walk once. It coerces the variables, calls the
resolvers and writes the answer in straight lines of code; what they cannot decide is left to the stock executor, so
that an answer, its errors and their words are always the ones that graphql-core gives:

- before a resolver was called, any doubt about a variable means that there is no plan for this request (``Doubt``);
- afterwards, any exception means that the stock executor answers, with the outcomes of the root resolvers played back:
  a root resolver is never called twice, for a mutation has effects.

Not compiled, and left to the stock executor as a whole: several root fields of a mutation, introspection, subscriptions,
unions, directives other than @skip and @include, fields with extensions or permissions, recursive or one-of inputs.

A compiled resolver gets a light ``info`` that has ``context`` and nothing else. Nothing here knows what the API is about.

- ``coercion``: what was sent for the variables becomes what resolvers get.
- ``projection``: what resolvers return becomes the answer.
- ``running``: a plan while it runs, and the way back to the stock executor.
- ``plans``: which texts are compiled, and for how long a plan is kept.
"""
