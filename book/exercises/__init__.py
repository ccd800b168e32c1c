"""The exercises that are graded: one module a chapter, of records that
`pages.grader.grade` takes."""
