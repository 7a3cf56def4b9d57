// Reads documents as Go's parsers do, and says what they mean. See ../README.md for how it is asked.
//
//	parse v1|v2
//
// The envelope is read into structs, as Go's MCP servers do, whose fields v1 finds in any case.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	jsonv2 "encoding/json/v2"
	"io"
	"math"
	"os"
	"sort"
	"strings"
)

type raw struct{ bytes []byte }

func (value *raw) UnmarshalJSON(bytes []byte) error {
	value.bytes = append([]byte(nil), bytes...)
	return nil
}

type request struct {
	Method *string `json:"method"`
	Params *params `json:"params"`
}

type params struct {
	Name      *string `json:"name"`
	URI       *string `json:"uri"`
	Arguments *raw    `json:"arguments"`
}

type decode func([]byte, any) error

func v1(document []byte, into any) error { return json.Unmarshal(document, into) }
func v2(document []byte, into any) error { return jsonv2.Unmarshal(document, into) }

func text(value string) string { return "s" + hex.EncodeToString([]byte(value)) }

func canonical(value any) string {
	switch value := value.(type) {
	case nil:
		return "n"
	case bool:
		if value {
			return "t"
		}
		return "f"
	case string:
		return text(value)
	case float64:
		// Adding zero makes one of the two zeros.
		return "d" + hex.EncodeToString(binary.BigEndian.AppendUint64(nil, math.Float64bits(value+0)))
	case []any:
		items := make([]string, len(value))
		for at, item := range value {
			items[at] = canonical(item)
		}
		return "[" + strings.Join(items, ",") + "]"
	case map[string]any:
		members := make([]string, 0, len(value))
		for key, member := range value {
			members = append(members, text(key)+":"+canonical(member))
		}
		sort.Strings(members)
		return "{" + strings.Join(members, ",") + "}"
	}
	panic("no JSON value")
}

func shown(value *string) string {
	if value == nil {
		return "-"
	}
	return text(*value)
}

func reading(decode decode, document []byte) string {
	var whole any
	var read request
	if decode(document, &whole) != nil || decode(document, &read) != nil {
		return "refused"
	}
	if read.Params == nil {
		read.Params = &params{}
	}
	arguments := "-"
	if read.Params.Arguments != nil && !bytes.Equal(read.Params.Arguments.bytes, []byte("null")) {
		var value any
		if decode(read.Params.Arguments.bytes, &value) != nil {
			return "refused"
		}
		arguments = canonical(value)
	}
	parts := []string{shown(read.Method), shown(read.Params.Name), shown(read.Params.URI), arguments, canonical(whole)}
	return strings.Join(parts, " ")
}

func main() {
	decode := map[string]decode{"v1": v1, "v2": v2}[os.Args[1]]
	questions, answers := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(questions, head); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head)
		if length == 0 {
			answers.Flush()
			continue
		}
		document := make([]byte, length)
		if _, err := io.ReadFull(questions, document); err != nil {
			return
		}
		answers.WriteString(reading(decode, document) + "\n")
	}
}
