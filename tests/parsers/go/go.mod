module parse

go 1.25
