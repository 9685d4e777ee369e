// SPDX-License-Identifier: Apache-2.0

// minio fetches credentials twice with minio-go.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

func main() {
	iam := credentials.NewIAM("")
	for fetch := 0; fetch < 2; fetch++ {
		value, err := iam.Get()
		if err != nil {
			panic(err)
		}
		fmt.Println(value.AccessKeyID)
		if fetch == 0 {
			bufio.NewReader(os.Stdin).ReadString('\n')
			iam.Expire()
		}
	}
}
