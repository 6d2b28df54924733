// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Diagnostics on the terminal: place, message, and the part of the source line
// that matters, whatever bytes are in them.
#ifndef TESSERA_LIB_TOOLS_DIAGNOSTICPRINTER_H
#define TESSERA_LIB_TOOLS_DIAGNOSTICPRINTER_H

#include "mlir/IR/Diagnostics.h"

namespace tessera {

/// `text` with control characters and bytes that are not UTF-8 as \xNN; lines
/// and tabs stay.
std::string printable(llvm::StringRef text);

/// The line `text` and one with a caret under its byte `column` (from 1); a
/// long line is cut to 120 columns around it.
std::string excerpt(llvm::StringRef text, unsigned column);

/// Prints a context's diagnostics to stderr while it lives. What has no place
/// in a file is said by the tool.
class DiagnosticPrinter : public mlir::ScopedDiagnosticHandler {
public:
  /// `source` is the text of the file `sourceName`; both outlive this.
  DiagnosticPrinter(mlir::MLIRContext *context, llvm::StringRef tool,
                    llvm::StringRef sourceName, llvm::StringRef source);

private:
  void print(mlir::Location location, mlir::DiagnosticSeverity severity,
             llvm::StringRef message) const;
  std::string lineOf(mlir::FileLineColLoc place) const;

  llvm::StringRef tool, sourceName, source;
};

} // namespace tessera

#endif // TESSERA_LIB_TOOLS_DIAGNOSTICPRINTER_H
